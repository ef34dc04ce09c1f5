//! Looks are taken in a thread of their own: one that a hostile process makes wait costs no tick.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::{
    descriptors,
    look::{Sights, at_once, compare},
    memory::{self, Cleared},
    threads,
};
use crate::{
    model::{
        confirm::{Confirmation, Wish},
        finding::Resource,
    },
    process_stat,
};

/// What the first look leaves for the second.
#[derive(Debug)]
pub(super) enum Before {
    Seen(Sights),
    /// The marks of access are cleared.
    Cleared(Cleared),
}

/// A look to take.
pub(super) struct Job {
    pub(super) wish: Wish,
    /// `None` for the first one.
    pub(super) before: Option<Before>,
}

/// What came of it.
pub(super) enum Outcome {
    First(Before),
    /// Nothing more is to be looked at.
    Last(Confirmation),
    /// The process has ended, or may not be looked at.
    Nothing,
}

/// A thread that takes looks, one after the other, until this is dropped.
pub(super) struct Worker {
    jobs: Sender<Job>,
    outcomes: Receiver<(Wish, Outcome)>,
}

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, todo) = channel::<Job>();
        let (done, outcomes) = channel();
        thread::Builder::new().name("confirm".to_owned()).spawn(move || {
            for job in todo {
                let outcome = look(&job.wish, job.before);
                if done.send((job.wish, outcome)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, outcomes })
    }

    pub(super) fn submit(&self, job: Job) {
        // It ends only with this. After a panic there, no outcome comes, and it is replaced like one that waits for ever.
        let _ = self.jobs.send(job);
    }

    pub(super) fn outcome(&self) -> Option<(Wish, Outcome)> {
        self.outcomes.try_recv().ok()
    }
}

/// Whether marks of access have to be cleared for it.
pub(super) fn is_of_memory(wish: &Wish) -> bool {
    matches!(wish.resource, Resource::Memory | Resource::Maps)
}

fn look(wish: &Wish, before: Option<Before>) -> Outcome {
    if !process_stat::is_alive(wish.process) {
        return Outcome::Nothing;
    }
    let outcome = match before {
        None if is_of_memory(wish) => {
            let cleared = memory::clear(wish.process.pid);
            cleared.map(|cleared| Outcome::First(Before::Cleared(cleared)))
        }
        None => {
            let seen = sights(wish);
            let clear = at_once(wish, &seen);
            Some(clear.map_or(Outcome::First(Before::Seen(seen)), Outcome::Last))
        }
        Some(Before::Cleared(cleared)) => memory::measure(wish, &cleared).ok().map(Outcome::Last),
        Some(Before::Seen(before)) => Some(Outcome::Last(compare(wish, &before, &sights(wish)))),
    };
    outcome.unwrap_or(Outcome::Nothing)
}

fn sights(wish: &Wish) -> Sights {
    match wish.resource {
        Resource::Thread => threads::look(wish.process.pid, &wish.items),
        _ => descriptors::look(wish.process.pid, &wish.items),
    }
}
