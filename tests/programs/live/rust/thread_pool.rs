//! Grower: a thread pool takes one more thread a second, up to its size, and gives the jobs to all of them in turn.

mod steady;

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

const SIZE: usize = 90;

fn work(jobs: &Receiver<u32>) -> u64 {
    jobs.iter().map(u64::from).sum()
}

#[inline(never)]
fn start_worker() -> Sender<u32> {
    let (jobs, queue) = channel();
    thread::spawn(move || work(&queue));
    jobs
}

fn main() {
    let run = steady::Run::from_command_line();
    let mut pool: Vec<Sender<u32>> = Vec::new();
    for request in run.requests() {
        if pool.len() < SIZE && run.seconds_before(request) >= pool.len() {
            pool.push(start_worker());
        }
        pool[request as usize % pool.len()]
            .send(request)
            .expect("the worker runs");
    }
}
