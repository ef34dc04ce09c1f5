//! What language runtimes and allocators have on their books, read from outside while they run on.
//!
//! One file for each runtime. Where it keeps its numbers is known from the symbols and sections of its own files, and how
//! they are laid out from its version; offsets are data, and what is read is held against what must be so (an invariant of
//! that runtime) before it is believed. An unknown version is reported as unknown: nothing is guessed.
//!
//! What is read belongs to whoever is watched: it may change while it is read, and it may be broken on purpose. Every walk
//! is bounded, and a link that leads nowhere ends it.

mod beam;
mod binary;
mod cpython;
mod dotnet;
#[cfg(test)]
mod fixture;
#[cfg(fuzzing)]
pub mod fuzzing;
mod glibc;
mod go;
mod interpreters;
mod jvm;
mod lua;
mod memory;
mod node;
mod other_allocators;
mod perl;
mod php;
mod ruby;
mod target;
mod thread_local;
mod worker;

use std::{collections::HashMap, fmt, io};

use log::warn;

pub use self::interpreters::Interpreters;
use self::{
    cpython::CPython,
    interpreters::Interpreted,
    jvm::Jvm,
    lua::Lua,
    memory::Memory,
    perl::Perl,
    php::Php,
    ruby::Ruby,
    target::Target,
    worker::{Job, Outcome, Worker},
};
use crate::{
    hotspot,
    model::{
        census::{Census, CensusWish, Censuses, RuntimeView},
        identity::ProcessId,
    },
    process_stat,
    recognise::Recogniser,
};

/// Every runtime that is known, in the order in which they are asked.
const RUNTIMES: &[&dyn Runtime] = &[
    &go::GO,
    &CPython,
    &Jvm,
    &node::Node,
    &beam::Beam,
    &dotnet::Dotnet,
    &glibc::Glibc,
    &other_allocators::OtherAllocators,
];

/// Those whose frames are taken with stacks.
const INTERPRETERS: &[&dyn Interpreted] = &[&CPython, &Php, &Ruby, &Perl, &Lua];

const SECOND_NS: u64 = 1_000_000_000;
/// Two censuses of one process are so far apart, nanoseconds, and never closer than this many times what one takes of a
/// processor.
const APART_NS: u64 = 15 * SECOND_NS;
const REST: u64 = 30;
/// All together rest this many times what the last one took of it: they have a tenth of one processor at the most.
const REST_OF_ALL: u64 = 9;
/// What a census costs at the least, nanoseconds, and one that was never taken.
const LEAST_COST_NS: u64 = 5_000_000;
/// Who was not asked for so long does not wait for a turn, nanoseconds.
const WAITS_NS: u64 = 3 * SECOND_NS;
/// The same for whoever is waited for.
const URGENT_APART_NS: u64 = 3 * SECOND_NS;
const URGENT_REST: u64 = 3;
/// Processes that are asked for at a time.
const MAX_WISHES: usize = 64;
/// What nobody asks for any more is forgotten after this time, nanoseconds.
const FORGET_NS: u64 = 120 * SECOND_NS;
/// A census that takes longer than this is given up, with the thread that takes it.
const STUCK_NS: u64 = 120 * SECOND_NS;
/// Threads that are given up at the most; then there are no more censuses.
const MAX_STUCK: u32 = 4;

/// A runtime or an allocator.
trait Runtime: Sync {
    /// What its part of the census of this process is; `None` when the process does not have it.
    ///
    /// An error is shown as [`RuntimeView::unknown`] beside whatever name and version were found out.
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView>;
}

/// Why a runtime that is there cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    /// No offsets are known for this version.
    #[error("{0} is a version that leakwatch does not know")]
    Version(String),
    /// What was read is not what has to be there.
    #[error("its memory is not laid out as that of its version: {0}")]
    Layout(&'static str),
    /// It describes itself, without this.
    #[error("it does not say where {0} is")]
    Missing(&'static str),
    /// As a JVM.
    #[error(transparent)]
    HotSpot(#[from] hotspot::Unknown),
    /// It does not keep what is looked for.
    #[error("{0}")]
    NotKept(&'static str),
    /// The process has ended, or may not be read.
    #[error("its memory cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Takes censuses, in a thread of its own. It never waits for one.
#[derive(Default)]
pub struct CensusTaker {
    worker: Option<Worker>,
    stuck: u32,
    /// What is being taken, and since when.
    taking: Option<(CensusWish, u64)>,
    /// Until then all of them rest, unless somebody waits.
    rests_until_ns: u64,
    /// By process and image.
    subjects: HashMap<Key, Subject>,
}

/// A process and its image.
type Key = (ProcessId, u32);

#[derive(Debug)]
struct Subject {
    asked_ns: u64,
    /// Not before.
    due_ns: u64,
    /// Time of a processor that the last one took, nanoseconds.
    cost_ns: u64,
    done: Option<Census>,
}

impl Censuses for CensusTaker {
    fn census(&mut self, now_ns: u64, wish: &CensusWish) -> Option<Census> {
        self.collect(now_ns);
        self.subjects
            .retain(|_, subject| now_ns.saturating_sub(subject.asked_ns) < FORGET_NS);
        let is_full = self.subjects.len() >= MAX_WISHES;
        let key = (wish.process, wish.exec_id);
        if is_full && !self.subjects.contains_key(&key) {
            return None;
        }
        let subject = self.subjects.entry(key).or_insert(Subject {
            asked_ns: now_ns,
            due_ns: now_ns,
            cost_ns: LEAST_COST_NS,
            done: None,
        });
        subject.asked_ns = now_ns;
        if wish.urgent {
            subject.due_ns = subject.due_ns.min(now_ns + URGENT_APART_NS);
        }
        let done = subject.done.take();
        let is_due = now_ns >= subject.due_ns;
        let has_turn = wish.urgent || (now_ns >= self.rests_until_ns && self.is_next(key, now_ns));
        if is_due && has_turn && self.taking.is_none() && self.stuck < MAX_STUCK {
            self.take(now_ns, *wish);
        }
        done
    }
}

/// Takes the census of one process now; `None` when it is gone, or has no runtime that is known.
pub fn census_now(pid: u32, now_ns: u64) -> Option<Census> {
    worker::census(process_stat::of(pid)?, now_ns, &mut Recogniser::default())
}

impl CensusTaker {
    /// Whether of all who still ask it has waited for longest by what it costs (highest response ratio next: who costs little
    /// does not wait for who costs much, and nobody waits for ever).
    fn is_next(&self, key: Key, now_ns: u64) -> bool {
        let waits =
            |(_, of): &(&Key, &Subject)| of.due_ns <= now_ns && now_ns.saturating_sub(of.asked_ns) < WAITS_NS;
        let waiting = self.subjects.iter().filter(waits);
        let ratio = |of: &Subject| now_ns.saturating_sub(of.due_ns) as f64 / of.cost_ns as f64;
        let next = waiting.max_by(|(a, of_a), (b, of_b)| {
            let by_pid = || b.cmp(a);
            ratio(of_a).total_cmp(&ratio(of_b)).then_with(by_pid)
        });
        next.is_some_and(|(next, _)| *next == key)
    }

    fn take(&mut self, now_ns: u64, wish: CensusWish) {
        if self.worker.is_none() {
            self.worker = Worker::start()
                .inspect_err(|error| warn!("cannot read what runtimes hold: {error}"))
                .ok();
        }
        if let Some(worker) = &self.worker {
            worker.submit(Job { wish, now_ns });
            self.taking = Some((wish, now_ns));
        }
    }

    /// Takes what the worker has done.
    fn collect(&mut self, now_ns: u64) {
        let Some((wish, since_ns)) = self.taking else {
            return;
        };
        if let Some(Outcome { census, cost_ns }) = self.worker.as_ref().and_then(Worker::outcome) {
            self.taking = None;
            if let Some(subject) = self.subjects.get_mut(&(wish.process, wish.exec_id)) {
                let (apart, rest) = if wish.urgent {
                    (URGENT_APART_NS, URGENT_REST)
                } else {
                    (APART_NS, REST)
                };
                subject.cost_ns = cost_ns.max(LEAST_COST_NS);
                subject.due_ns = now_ns + apart.max(cost_ns.saturating_mul(rest));
                subject.done = census;
                self.rests_until_ns = now_ns + cost_ns.saturating_mul(REST_OF_ALL);
            }
        } else if now_ns.saturating_sub(since_ns) >= STUCK_NS {
            warn!("a census takes longer than two minutes; it is given up");
            self.worker = None;
            self.stuck += 1;
            self.taking = None;
        }
    }
}

/// A view of a runtime that is there and cannot be read.
fn unknown(runtime: &str, version: Option<String>, why: &dyn fmt::Display) -> RuntimeView {
    RuntimeView {
        runtime: runtime.to_owned(),
        version,
        unknown: Some(why.to_string()),
        ..RuntimeView::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{CensusTaker, Key, LEAST_COST_NS, SECOND_NS, Subject, WAITS_NS};
    use crate::model::identity::ProcessId;

    fn key(pid: u32) -> Key {
        let start_time_ns = 1;
        (ProcessId { pid, start_time_ns }, 0)
    }

    #[test]
    fn who_waited_longest_for_what_it_costs_is_next_and_who_left_is_passed_over() {
        let mut taker = CensusTaker::default();
        let now_ns = 100 * SECOND_NS;
        let mut add = |pid, asked_ns, due, cost| {
            let subject = Subject {
                asked_ns,
                due_ns: due * SECOND_NS,
                cost_ns: cost * LEAST_COST_NS,
                done: None,
            };
            taker.subjects.insert(key(pid), subject);
        };
        add(1, now_ns, 90, 1);
        add(2, now_ns, 80, 1);
        add(3, now_ns - WAITS_NS, 70, 1);
        add(4, now_ns, 70, 2);
        add(5, now_ns, 101, 1);
        let next = [1, 2, 3, 4, 5].map(|pid| taker.is_next(key(pid), now_ns));
        assert_eq!(next, [false, true, false, false, false]);
        // In the end the dearer one has its turn.
        let later_ns = now_ns + 20 * SECOND_NS;
        taker.subjects.get_mut(&key(2)).unwrap().due_ns = later_ns - 10 * SECOND_NS;
        for subject in taker.subjects.values_mut() {
            subject.asked_ns = later_ns;
        }
        taker.subjects.remove(&key(1));
        taker.subjects.remove(&key(3));
        assert!(taker.is_next(key(4), later_ns));
    }
}
