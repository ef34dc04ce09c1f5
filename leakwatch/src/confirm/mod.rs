//! A closer look at what is overdue: is it used, or only kept?
//!
//! Two looks at the same items, some time apart; what changed in between was used. Of connections that their peers have left one
//! look says it all. Everything is read, but for one thing: whether memory is accessed shows only after a mark of the kernel's
//! was cleared ([`Staleness`]).

mod descriptors;
mod events;
mod files;
mod look;
mod memory;
mod pipes;
mod sock_diag;
mod sockets;
#[cfg(test)]
mod tests;
mod threads;
mod waiters;
mod worker;

use std::collections::HashMap;

use leakwatch_common::kind::Kind;
use log::{debug, warn};

use self::worker::{Before, Job, Outcome, Worker, is_of_memory};
use crate::model::{
    confirm::{Confirm, Confirmation, MAX_ITEMS, Wish},
    finding::Resource,
    identity::ProcessId,
};

const SECOND_NS: u64 = 1_000_000_000;
/// Time between two looks: a third of the age of the process, within these bounds.
const SHORTEST_NS: u64 = 5 * SECOND_NS;
const LONGEST_NS: u64 = 20 * SECOND_NS;
/// Marks of access are cleared in one process within this time, nanoseconds.
const MEMORY_NS: u64 = 60 * SECOND_NS;
/// And in the same one not again for this time.
const MEMORY_OF_ONE_NS: u64 = 600 * SECOND_NS;
/// Wishes that are being fulfilled at a time; each holds what was seen of 256 items at the most, some 64 KiB.
const MAX_LOOKS: usize = 128;
/// What nobody asks for any more is forgotten after this time, nanoseconds.
const FORGET_NS: u64 = 120 * SECOND_NS;
/// A look takes milliseconds. A thread that takes longer than this is given up and replaced.
const STUCK_NS: u64 = 30 * SECOND_NS;
/// Threads that are given up at the most; then there are no more looks.
const MAX_STUCK: u32 = 4;

/// Whether marks of access may be cleared, to tell memory that is used from memory that is only kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staleness {
    /// In one process a minute, in none twice in ten minutes, in none with more than 8 GiB resident.
    #[default]
    Rationed,
    /// Never: wishes about memory stay open.
    Off,
}

/// Takes the looks. It never waits for one.
pub struct Confirmer {
    staleness: Staleness,
    worker: Option<Worker>,
    stuck: u32,
    /// Since when a look has been awaited.
    awaited_since_ns: Option<u64>,
    looks: HashMap<Key, Look>,
    memory_ns: Option<u64>,
    memory_of: HashMap<ProcessId, u64>,
}

type Key = (ProcessId, Resource, Kind);

struct Look {
    asked_ns: u64,
    stage: Stage,
}

enum Stage {
    /// A look is being taken; the next one is due then.
    Looking {
        due_ns: u64,
    },
    Between {
        wish: Wish,
        before: Before,
        due_ns: u64,
    },
    Done(Confirmation),
    /// There is nothing to say.
    Failed,
}

impl Confirm for Confirmer {
    fn confirm(&mut self, now_ns: u64, wish: &Wish) -> Option<Confirmation> {
        self.collect(now_ns);
        self.look_after_worker(now_ns);
        self.forget(now_ns);
        let key = (wish.process, wish.resource, wish.kind);
        let Some(look) = self.looks.get_mut(&key) else {
            self.begin(now_ns, wish);
            return None;
        };
        look.asked_ns = now_ns;
        match &look.stage {
            Stage::Between { due_ns, .. } if now_ns >= *due_ns => {
                let stage = std::mem::replace(&mut look.stage, Stage::Looking { due_ns: now_ns });
                if let Stage::Between { wish, before, .. } = stage {
                    self.submit(now_ns, wish, Some(before));
                }
                None
            }
            Stage::Looking { .. } | Stage::Between { .. } => None,
            Stage::Done(confirmation) => {
                let confirmation = confirmation.clone();
                self.looks.remove(&key);
                Some(confirmation)
            }
            Stage::Failed => {
                self.looks.remove(&key);
                None
            }
        }
    }
}

impl Confirmer {
    /// Nothing is looked at before somebody asks.
    pub fn new(staleness: Staleness) -> Self {
        Self {
            staleness,
            worker: None,
            stuck: 0,
            awaited_since_ns: None,
            looks: HashMap::new(),
            memory_ns: None,
            memory_of: HashMap::new(),
        }
    }

    fn begin(&mut self, now_ns: u64, wish: &Wish) {
        if self.looks.len() >= MAX_LOOKS || self.stuck >= MAX_STUCK {
            return;
        }
        if is_of_memory(wish) && !self.may_clear(now_ns, wish.process) {
            return;
        }
        let mut wish = wish.clone();
        wish.items.truncate(MAX_ITEMS);
        let age_ns = now_ns.saturating_sub(wish.process.start_time_ns);
        let look = Look {
            asked_ns: now_ns,
            stage: Stage::Looking {
                due_ns: now_ns + (age_ns / 3).clamp(SHORTEST_NS, LONGEST_NS),
            },
        };
        self.looks.insert((wish.process, wish.resource, wish.kind), look);
        self.submit(now_ns, wish, None);
    }

    /// Whether marks of access may be cleared now; then they are.
    fn may_clear(&mut self, now_ns: u64, process: ProcessId) -> bool {
        let is_past = |then_ns: u64, wait_ns| now_ns.saturating_sub(then_ns) >= wait_ns;
        self.memory_of
            .retain(|_, &mut then_ns| !is_past(then_ns, MEMORY_OF_ONE_NS));
        let may = self.staleness == Staleness::Rationed
            && self.memory_ns.is_none_or(|then_ns| is_past(then_ns, MEMORY_NS))
            && !self.memory_of.contains_key(&process);
        if may {
            self.memory_ns = Some(now_ns);
            self.memory_of.insert(process, now_ns);
        }
        may
    }

    fn submit(&mut self, now_ns: u64, wish: Wish, before: Option<Before>) {
        if self.worker.is_none() {
            self.worker = Worker::start()
                .inspect_err(|error| warn!("cannot look closer at what is overdue: {error}"))
                .ok();
        }
        if let Some(worker) = &self.worker {
            worker.submit(Job { wish, before });
            self.awaited_since_ns.get_or_insert(now_ns);
        }
    }

    /// Takes what the worker has done.
    fn collect(&mut self, now_ns: u64) {
        while let Some((wish, outcome)) = self.worker.as_ref().and_then(Worker::outcome) {
            self.awaited_since_ns = Some(now_ns);
            let Some(look) = self.looks.get_mut(&(wish.process, wish.resource, wish.kind)) else {
                continue;
            };
            let Stage::Looking { due_ns } = look.stage else {
                continue;
            };
            look.stage = match outcome {
                Outcome::First(before) => Stage::Between { wish, before, due_ns },
                Outcome::Last(confirmation) => Stage::Done(confirmation),
                Outcome::Nothing => Stage::Failed,
            };
        }
        let is_looking = |look: &Look| matches!(look.stage, Stage::Looking { .. });
        if !self.looks.values().any(is_looking) {
            self.awaited_since_ns = None;
        }
    }

    fn look_after_worker(&mut self, now_ns: u64) {
        let is_stuck = |since_ns: u64| now_ns.saturating_sub(since_ns) >= STUCK_NS;
        if self.awaited_since_ns.is_some_and(is_stuck) {
            warn!("a look at a process takes longer than 30 s; it is given up");
            self.worker = None;
            self.stuck += 1;
            self.awaited_since_ns = None;
            self.looks
                .retain(|_, look| !matches!(look.stage, Stage::Looking { .. }));
        }
    }

    fn forget(&mut self, now_ns: u64) {
        let before = self.looks.len();
        self.looks
            .retain(|_, look| now_ns.saturating_sub(look.asked_ns) < FORGET_NS);
        if self.looks.len() < before {
            debug!("{} looks are not wanted any more", before - self.looks.len());
        }
    }
}
