//! A thread for every request waits for the reply of a worker; the worker loses four in a hundred.
//! leaky: who asked for a lost one stays in the table of those who wait, and its thread waits for ever.

mod steady;

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

struct Request {
    number: u32,
    reply: Sender<u32>,
}

fn work(requests: &Receiver<Request>, fixed: bool) {
    let mut waiting = HashMap::new();
    for Request { number, reply } in requests {
        waiting.insert(number, reply);
        let lost = number % 25 == 0;
        if !lost || fixed {
            let reply = waiting.remove(&number).expect("just inserted");
            // A lost one is answered by dropping its sender.
            if !lost {
                reply.send(number).expect("its thread waits");
            }
        }
    }
}

#[inline(never)]
fn wait_for_reply(replies: &Receiver<u32>) -> Option<u32> {
    replies.recv().ok()
}

#[inline(never)]
fn serve_request(number: u32, worker: &Sender<Request>) {
    let (reply, replies) = channel();
    worker.send(Request { number, reply }).expect("the worker runs");
    thread::spawn(move || wait_for_reply(&replies));
}

fn main() {
    let run = steady::Run::from_command_line();
    let (worker, requests) = channel();
    thread::spawn(move || work(&requests, run.fixed));
    for request in run.requests() {
        serve_request(request, &worker);
    }
}
