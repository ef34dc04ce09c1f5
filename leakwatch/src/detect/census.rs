//! What the censuses of one process say together: which rows grow at every look, and whether growth is in what is held.
//!
//! What grew at every rung of time is a leak; what grew and gave back in between is a cache that turns over, or garbage. A
//! cache on its way to its cap grows at every rung too: growth alone is weak evidence, and gains with time. What waits since
//! the growth began, and was never woken, is strong. Memory that grows beside a live heap that does not is no leak of objects.
//!
//! One [`Books`] takes at most [`MAX_BYTES`], whatever the process calls its classes.

mod generic;
mod holders;
mod rungs;

#[cfg(test)]
mod tests;

use self::{
    holders::Found,
    rungs::{Climb, Moments, Rungs, Step},
};
use super::evidence::{Case, Reason, Stand, Witness};
use crate::model::{
    census::{Census, Counted, MAX_ROWS, RuntimeView},
    finding::{Class, Holder, Resource},
    runtime::WITH_TRACING_COLLECTOR,
};

/// Rows that are followed in all views together.
const MAX_ROWS_FOLLOWED: usize = 128;
/// Views that are followed.
const MAX_VIEWS: usize = 4;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 192;
/// All of it, bytes.
#[cfg(test)]
const MAX_BYTES: usize = 128 << 10;

/// Censuses say something for so long after the newest, nanoseconds.
const FRESH_NS: u64 = 30 * 60 * 1_000_000_000;

/// A row, or a heap, with this part of the growth has most of it; and with this one a good part.
const MOST: f64 = 0.5;
const SOME: f64 = 0.2;
/// With less than this part it stands still.
const FLAT: f64 = 0.1;
/// A cache may be filling for so long, seconds, and collectors leave garbage for as long. Until then a climb counts half, then
/// once, twice as long one and a half times, and no more than this.
const FILLING: f64 = 900.0;
const MOST_TIMES: f64 = 2.0;
/// The oldest waits for this part of the time of the growth, and at least for so long, seconds.
const SINCE_IT_BEGAN: f64 = 0.8;
const LEAST_WAIT: f64 = 60.0;
/// Growth of memory below this says nothing about what it is, bytes.
const QUANTUM: f64 = 16.0 * MIB;
/// Collections over which a live heap is compared.
const COLLECTIONS: f64 = 2.0;
const MIB: f64 = 1_048_576.0;

/// What is kept of the censuses of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    moments: Moments,
    views: Vec<View>,
    rows: Vec<Row>,
    taken_ns: u64,
    said: Said,
}

/// The heap of one runtime.
#[derive(Clone, Debug)]
struct View {
    runtime: Box<str>,
    live: Rungs,
    in_use: Rungs,
    committed: Rungs,
    free: Rungs,
    collections: Rungs,
}

/// Things of one name.
#[derive(Clone, Debug)]
struct Row {
    runtime: Box<str>,
    counted: Counted,
    name: Box<str>,
    count: Rungs,
    bytes: Rungs,
    now: Now,
}

/// As of the newest census.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    is_there: bool,
    count: u64,
    bytes: Option<u64>,
    oldest: Option<f64>,
}

/// What follows from all censuses up to the newest.
#[derive(Clone, Debug, Default)]
struct Said {
    of_memory: Vec<Found>,
    of_threads: Vec<Found>,
    beside: Option<Beside>,
    kept: Option<Kept>,
}

/// Memory grows and what is held does not: what grows instead. All in bytes.
#[derive(Clone, Copy, Debug)]
enum Beside {
    /// The heap, with garbage in it.
    Garbage { live: f64, grown: f64, collections: f64 },
    /// What the allocator keeps for later.
    Free { free: f64, in_use: f64 },
}

/// What a heap holds after collections grows.
#[derive(Clone, Copy, Debug)]
struct Kept {
    collections: f64,
    climb: Climb,
}

impl Books {
    /// Enters one census. `memory` is the level of the process at that time, bytes. One that is not newer says nothing.
    pub(super) fn enter(&mut self, census: &Census, memory: u64) {
        if census.taken_ns <= self.taken_ns {
            return;
        }
        self.taken_ns = census.taken_ns;
        let step = self.moments.step(census.taken_ns, memory);
        self.step(step);
        for row in &mut self.rows {
            row.now.is_there = false;
        }
        for view in census.views.iter().take(MAX_VIEWS) {
            self.enter_view(view);
        }
        self.miss(census);
        self.forget();
        self.said = Said {
            of_memory: holders::found(self, Resource::Memory),
            of_threads: holders::found(self, Resource::Thread),
            beside: self.views.iter().find_map(|view| self.beside(view)),
            kept: self.views.iter().find_map(|view| self.kept(view)),
        };
    }

    fn step(&mut self, step: Step) {
        for view in &mut self.views {
            view.each(|rungs| rungs.step(step));
        }
        for row in &mut self.rows {
            row.count.step(step);
            row.bytes.step(step);
        }
    }

    fn enter_view(&mut self, of: &RuntimeView) {
        let rungs = self.moments.rungs();
        let runtime = cut(&of.runtime);
        let known = self.views.iter().position(|view| view.runtime == runtime);
        let at = known.unwrap_or_else(|| {
            self.views.push(View::new(runtime.clone(), rungs));
            self.views.len() - 1
        });
        let view = &mut self.views[at];
        view.live.set(of.heap.live);
        view.in_use.set(of.heap.in_use);
        view.committed.set(of.heap.committed);
        view.free.set(of.heap.free);
        view.collections.set(of.heap.collections);
        for row in of.rows.iter().take(MAX_ROWS) {
            let name = cut(&row.name);
            let now = Now {
                is_there: true,
                count: row.count,
                bytes: row.bytes,
                oldest: row.oldest_seconds.filter(|seconds| seconds.is_finite()),
            };
            let key = (&*runtime, row.counted, &*name);
            let at = self.rows.iter().position(|known| known.key() == key);
            let at = at.unwrap_or_else(|| {
                self.rows.push(Row {
                    runtime: runtime.clone(),
                    counted: row.counted,
                    name,
                    count: Rungs::new(rungs),
                    bytes: Rungs::new(rungs),
                    now,
                });
                self.rows.len() - 1
            });
            let known = &mut self.rows[at];
            known.count.set(Some(row.count));
            known.bytes.set(row.bytes);
            known.now = now;
        }
    }

    /// What is missing is gone, unless the list was too short for it or could not be read.
    fn miss(&mut self, census: &Census) {
        for row in self.rows.iter_mut().filter(|row| !row.now.is_there) {
            let view = census.views.iter().find(|view| cut(&view.runtime) == row.runtime);
            if view.is_some_and(|view| view.unknown.is_none() && view.rows.len() < MAX_ROWS) {
                row.count.set(Some(0));
                row.bytes.set(row.now.bytes.map(|_| 0));
                row.now = Now::default();
            }
        }
    }

    /// Keeps the rows that may still say something: those that are there and grew, then those that hold most.
    fn forget(&mut self) {
        self.views.truncate(MAX_VIEWS);
        self.rows.sort_by(|a, b| {
            let worth = |row: &Row| {
                let grew = row.count.gained().max(row.bytes.gained()) > 0.0;
                (row.now.is_there, grew, row.now.bytes, row.now.count)
            };
            worth(b).cmp(&worth(a)).then_with(|| a.key().cmp(&b.key()))
        });
        self.rows.truncate(MAX_ROWS_FOLLOWED);
    }

    /// Whether they still say something.
    pub(super) fn is_fresh(&self, now_ns: u64) -> bool {
        self.taken_ns != 0 && now_ns.saturating_sub(self.taken_ns) <= FRESH_NS
    }

    /// Whether somebody else than the program accesses what is held of a resource: a collector, to see whether it is.
    pub(super) fn is_traced(&self, now_ns: u64, resource: Resource) -> bool {
        let traces = |view: &View| WITH_TRACING_COLLECTOR.contains(&&*view.runtime);
        resource == Resource::Memory && self.is_fresh(now_ns) && self.views.iter().any(traces)
    }

    /// Who holds more and more of a resource, the most suspicious first.
    pub(super) fn holders(&self, now_ns: u64, resource: Resource) -> Vec<Holder> {
        let found = match resource {
            Resource::Memory => &self.said.of_memory[..],
            Resource::Thread => &self.said.of_threads[..],
            Resource::Fd | Resource::Maps => &[],
        };
        let fresh = found.iter().filter(|_| self.is_fresh(now_ns));
        fresh.map(|found| found.holder.clone()).collect()
    }

    /// What growth of memory looks like, when it is not growth of what is held.
    pub(super) fn contradicts(&self, now_ns: u64, resource: Resource) -> Option<Class> {
        let beside = self.said.beside.filter(|_| self.is_fresh(now_ns))?;
        (resource == Resource::Memory).then_some(match beside {
            Beside::Garbage { .. } => Class::SawTooth,
            Beside::Free { .. } => Class::Fragmentation,
        })
    }

    fn beside(&self, view: &View) -> Option<Beside> {
        let climb = self.moments.climb()?;
        let grown = climb.gained;
        let gained = |rungs: &Rungs| rungs.gained_since(climb.from);
        let others = self.views.iter().filter(|other| other.runtime != view.runtime);
        let in_others = others
            .filter_map(|other| gained(&other.in_use))
            .fold(0.0, f64::max);
        if !climb.is_steady || grown < QUANTUM || in_others >= SOME * grown {
            return None;
        }
        if let (Some(free), Some(in_use)) = (gained(&view.free), gained(&view.in_use))
            && free >= MOST * grown
            && in_use <= FLAT * grown
        {
            return Some(Beside::Free { free, in_use });
        }
        let (live, collections) = (gained(&view.live)?, gained(&view.collections)?);
        // What grew by more than the whole heap did not grow in it alone.
        let heap = view.committed.last().or(view.in_use.last())?;
        (collections >= COLLECTIONS && grown <= heap as f64 && live <= FLAT * grown).then_some(
            Beside::Garbage {
                live,
                grown,
                collections,
            },
        )
    }

    fn kept(&self, view: &View) -> Option<Kept> {
        let climb = view.live.climb(&self.moments).filter(|climb| climb.is_steady)?;
        let collections = view.collections.gained_since(climb.from)?;
        let grown = self.moments.gained_since(climb.from)?;
        (collections >= COLLECTIONS && climb.gained >= QUANTUM && climb.gained >= MOST * grown)
            .then_some(Kept { collections, climb })
    }
}

impl View {
    fn new(runtime: Box<str>, rungs: usize) -> Self {
        let new = || Rungs::new(rungs);
        Self {
            runtime,
            live: new(),
            in_use: new(),
            committed: new(),
            free: new(),
            collections: new(),
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Rungs)) {
        act(&mut self.live);
        act(&mut self.in_use);
        act(&mut self.committed);
        act(&mut self.free);
        act(&mut self.collections);
    }
}

/// A name, or as much of it as is kept.
fn cut(name: &str) -> Box<str> {
    name[..name.floor_char_boundary(MAX_NAME)].into()
}

/// What a climb seen for so many seconds counts.
fn times(seconds: f64) -> f64 {
    if seconds < FILLING {
        return 0.5;
    }
    let doublings = (seconds / FILLING).log2().floor();
    (1.0 + 0.5 * doublings).min(MOST_TIMES)
}

impl Witness for Books {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        // Pools of threads are names: how many threads there are is known without them.
        if stand.resource != Resource::Memory || !self.is_fresh(stand.now_ns) {
            return;
        }
        let top = self.said.of_memory.first();
        let steady = || self.said.of_memory.iter().filter(|found| found.climb.is_steady);
        let share = steady().map(|found| found.holder.share).fold(0.0, f64::max);
        // What is counted may be garbage, too.
        if let Some(found) = steady().next()
            && self.said.beside.is_none()
            && share >= SOME
        {
            let share = if share >= MOST { 1.0 } else { 0.5 };
            let times = times(found.climb.seconds);
            case.add_times(Reason::HolderGrows, share * times, found.text());
        }
        if let Some(found) = top.filter(|found| found.waits && found.holder.share >= MOST) {
            let oldest = found.holder.oldest_seconds.unwrap_or_default();
            let text = format!(
                "{}: the oldest waits for {oldest:.0} s, since the growth began",
                found.holder.name
            );
            case.add(Reason::WaitsSince, text);
        }
        if let Some(Kept { collections, climb }) = self.said.kept {
            let text = format!(
                "the heap holds {:.0} MiB more after {collections:.0} collections",
                climb.gained / MIB
            );
            case.add_times(Reason::KeptAfterCollection, times(climb.seconds), text);
        }
        match self.said.beside {
            Some(Beside::Garbage {
                live,
                grown,
                collections,
            }) => {
                let text = format!(
                    "the heap holds {:.0} MiB more after {collections:.0} collections, the process {:.0} MiB",
                    live.max(0.0) / MIB,
                    grown / MIB
                );
                case.add(Reason::NotLive, text);
            }
            Some(Beside::Free { free, in_use }) => {
                let text = format!(
                    "the allocator has {:.0} MiB more that are free, and {:.0} MiB more in use",
                    free / MIB,
                    in_use.max(0.0) / MIB
                );
                case.add(Reason::FreeInside, text);
            }
            None => {}
        }
    }
}
