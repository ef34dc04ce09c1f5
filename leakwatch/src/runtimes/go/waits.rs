//! Rows of a census: goroutines, by who started them and what they wait for.

use std::{cmp::Reverse, collections::HashMap, rc::Rc};

use super::{
    allocations::rounded,
    goroutines::{Goroutine, State},
    library::Owner,
    places::{Place, Places},
    stacks,
};
use crate::{
    model::census::{CensusRow, Counted, MAX_ROWS},
    runtimes::memory::Memory,
};

/// What a goroutine waits for, in the words of Go's own tracebacks, by a function on its stack. The numbers of
/// `g.waitreason` mean something else in each version.
const REASONS: &[(&str, &str)] = &[
    ("runtime.chanrecv", "chan receive"),
    ("runtime.chansend", "chan send"),
    ("runtime.selectgo", "select"),
    ("runtime.block", "select (no cases)"),
    ("runtime.netpollblock", "IO wait"),
    ("time.Sleep", "sleep"),
    ("runtime.semacquire1", "semacquire"),
    ("sync.runtime_SemacquireMutex", "sync.Mutex.Lock"),
    ("internal/sync.runtime_SemacquireMutex", "sync.Mutex.Lock"),
    ("sync.runtime_SemacquireRWMutexR", "sync.RWMutex.RLock"),
    ("sync.runtime_SemacquireRWMutex", "sync.RWMutex.Lock"),
    ("sync.(*RWMutex).RLock", "sync.RWMutex.RLock"),
    ("sync.(*RWMutex).Lock", "sync.RWMutex.Lock"),
    ("sync.(*WaitGroup).Wait", "sync.WaitGroup.Wait"),
    ("sync.(*Cond).Wait", "sync.Cond.Wait"),
];

/// What goroutines of one row have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    creator: u64,
    start: u64,
    state: State,
    reason: Option<&'static str>,
    /// A return address.
    at: Option<u64>,
}

struct Group<'a> {
    count: u64,
    stack_bytes: u64,
    oldest: &'a Goroutine,
}

/// How many are not the runtime's own: `isSystemGoroutine`.
pub(super) fn of_program<'a>(alive: &'a [Goroutine], places: &mut Places) -> Vec<&'a Goroutine> {
    let mut is_own = |goroutine: &&Goroutine| {
        let place = places.at(goroutine.start);
        let name = place.name();
        !name.starts_with("runtime.")
            || matches!(
                name,
                "runtime.main" | "runtime.corostart" | "runtime.handleAsyncEvent"
            )
    };
    alive.iter().filter(|goroutine| is_own(goroutine)).collect()
}

/// Those that are most; each one stands for `weight`.
pub(super) fn rows(
    memory: &mut Memory,
    goroutines: &[&Goroutine],
    weight: f64,
    places: &mut Places,
    now_ns: u64,
) -> Vec<CensusRow> {
    let groups = grouped(memory, goroutines, places);
    let oldest: Vec<&Goroutine> = groups.iter().map(|(_, group)| group.oldest).collect();
    let stacks = stacks::walk(memory, &oldest, |address| places.step(address));
    let mut rows: Vec<CensusRow> = Vec::new();
    for ((key, group), mut stack) in groups.into_iter().zip(stacks) {
        let name = name(&key, places);
        let count = rounded(group.count as f64 * weight);
        let bytes = rounded(group.stack_bytes as f64 * weight);
        let waited = group
            .oldest
            .wait_since
            .and_then(|since| now_ns.checked_sub(since));
        let oldest_seconds = waited.map(|waited| waited as f64 / 1e9);
        if let Some(row) = rows.iter_mut().find(|row| row.name == name) {
            row.count += count;
            row.bytes = row.bytes.map(|sum| sum + bytes);
            row.oldest_seconds = row
                .oldest_seconds
                .into_iter()
                .chain(oldest_seconds)
                .reduce(f64::max);
            continue;
        }
        if creator_of(&key, places).is_some() {
            stack.push(key.creator);
        }
        rows.push(CensusRow {
            counted: Counted::Goroutine,
            name,
            count,
            bytes: Some(bytes),
            oldest_seconds,
            frames: places.frames(&stack),
        });
    }
    rows
}

fn grouped<'a>(
    memory: &mut Memory,
    goroutines: &[&'a Goroutine],
    places: &mut Places,
) -> Vec<(Key, Group<'a>)> {
    let stacks = stacks::walk(memory, goroutines, |address| places.step_to_program(address));
    let mut reasons = HashMap::new();
    let mut groups: HashMap<Key, Group> = HashMap::new();
    for (&goroutine, stack) in goroutines.iter().zip(stacks) {
        let is_own = |address: &u64| places.call(*address).owner == Owner::Program;
        let at = stack.last().copied().filter(is_own);
        let mut reason_at = |address: &u64| {
            *reasons
                .entry(*address)
                .or_insert_with(|| reason(&places.call(*address)))
        };
        let key = Key {
            creator: goroutine.creator,
            start: goroutine.start,
            state: goroutine.state,
            // The outermost says most: a mutex is a semaphore.
            reason: stack.iter().rev().find_map(&mut reason_at),
            at,
        };
        let group = groups.entry(key).or_insert(Group {
            count: 0,
            stack_bytes: 0,
            oldest: goroutine,
        });
        group.count += 1;
        group.stack_bytes += goroutine.stack.end - goroutine.stack.start;
        let age = |goroutine: &Goroutine| goroutine.wait_since.unwrap_or(u64::MAX);
        if age(goroutine) < age(group.oldest) {
            group.oldest = goroutine;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(key, group)| (Reverse(group.count), key.creator, key.start, key.at));
    groups.truncate(MAX_ROWS);
    groups
}

fn reason(place: &Rc<Place>) -> Option<&'static str> {
    let of = |name: &str| REASONS.iter().find(|(function, _)| *function == name);
    let reasons: Vec<_> = place.names().filter_map(of).collect();
    reasons.last().map(|(_, reason)| *reason)
}

/// The call that started them; `None` when the runtime itself did.
fn creator_of(key: &Key, places: &mut Places) -> Option<Rc<Place>> {
    let creator = places.is_code(key.creator).then(|| places.call(key.creator))?;
    (creator.owner != Owner::Runtime).then_some(creator)
}

/// `main.spawn (leak.go:41), waits in chan receive at main.leakChan (leak.go:17)`.
fn name(key: &Key, places: &mut Places) -> String {
    let start = places.at(key.start);
    let who = match creator_of(key, places) {
        Some(creator) => creator.text(),
        None if start.name() == "runtime.main" => "the main goroutine".to_owned(),
        None => start.text(),
    };
    let at = match key.at {
        Some(address) => places.call(address),
        None => start,
    };
    match (key.state, key.reason) {
        (State::Runs, _) => format!("{who}, runs"),
        (State::Calls, _) => format!("{who}, in a system call of {}", at.name()),
        (State::Waits, Some(reason)) => format!("{who}, waits in {reason} at {}", at.text()),
        (State::Waits, None) => format!("{who}, waits at {}", at.text()),
    }
}
