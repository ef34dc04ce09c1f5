//! Every object that the cyclic garbage collector tracks, by type: each generation is a list through the objects
//! (Modules/gcmodule.c, Python/gc.c).
//!
//! Bytes are those of the objects themselves, of tuples and lists with their pointers to items; what a dictionary keeps
//! its entries in is not among them. Text, numbers and other objects that cannot refer to others are in no list. The process runs on meanwhile, so a list may
//! lead to an object that is not in it any more; then the walk goes on from one of the last that still are.

use std::io;

use bytemuck::AnyBitPattern;
use hashbrown::{HashMap, hash_map::Entry};

use super::{
    layout::Collector,
    process::Process,
    types::{self, Type},
};
use crate::{
    model::census::{CensusRow, Counted, Counter},
    runtimes::{Unknown, memory::Memory},
};

/// Objects of one process at the most: more than 2 GiB have room for.
const MAX_OBJECTS: u64 = 50_000_000;
/// Types that are told apart.
const MAX_TYPES: usize = 64 << 10;
/// A broken list is taken up again so often, and looked for in so many of the last objects.
const MAX_MENDED: u32 = 4096;
const LAST: usize = 32;

/// `struct gc_generation`, three of them, and where what follows them is: `permanent_generation`, for what `gc.freeze` put
/// there, and `generation_stats`. The same in all versions.
const GENERATION: u64 = 24;
const PERMANENT: u64 = 80;
const STATISTICS: u64 = 104;
/// Of `struct gc_generation_stats`: begins with the number of collections.
const STATISTICS_SIZE: u64 = 24;

/// Items of a tuple or a list: pointers, and no more than that of one.
const ITEM: u64 = 8;
const MAX_ITEMS: u64 = 1 << 32;

/// `PyGC_Head` lies before the object.
pub(super) const HEAD: u64 = 16;
/// Low bits of links are marks of the collector.
const MARKS: u64 = 3;

/// `PyGC_Head` and the beginning of the object behind it.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct Tracked {
    next: u64,
    previous: u64,
    references: u64,
    type_of: u64,
    /// What it is depends on the type.
    own: [u64; 3],
}

/// A type, and what was counted of it.
#[derive(Clone, Debug)]
struct Tally {
    of: Type,
    objects: u64,
    items: u64,
}

/// What the collector of a process tracks.
pub(super) struct Objects {
    pub(super) rows: Vec<CensusRow>,
    pub(super) counters: Vec<Counter>,
    /// Collections of everything so far.
    pub(super) collections: u64,
    /// Why not all objects were counted, if so.
    pub(super) incomplete: Option<&'static str>,
}

/// Counts them.
///
/// # Errors
/// When the lists are not where they should be.
pub(super) fn objects(process: &Process, memory: &mut Memory) -> Result<Objects, Unknown> {
    let interpreters = process.interpreters(memory);
    let collectors: Vec<u64> = match process.layout.interpreter.collector {
        Collector::OfRuntime(generations) => vec![process.runtime + generations],
        Collector::OfInterpreter(generations) => {
            let of = |interpreter: &u64| interpreter.wrapping_add(generations);
            interpreters.iter().map(of).collect()
        }
    };
    let count = interpreters.len();
    let threads = process.threads(memory, interpreters);
    let threads: usize = threads.iter().map(|(_, threads)| threads.len()).sum();
    let mut walk = Walk::new(process, memory);
    let mut collections = [0; 3];
    for &generations in &collectors {
        for (index, sum) in (0..).zip(&mut collections) {
            walk.list(generations + index * GENERATION)?;
            let statistics = generations + STATISTICS + index * STATISTICS_SIZE;
            *sum += walk.memory.value::<u64>(statistics)?;
        }
        walk.list(generations + PERMANENT)?;
    }
    let counter = |name: &str, value| Counter {
        name: name.to_owned(),
        value,
    };
    let [young, middle, old] = collections;
    Ok(Objects {
        counters: vec![
            counter("interpreters", count as u64),
            counter("threads", threads as u64),
            counter("tracked_objects", walk.objects),
            counter("collections_generation_0", young),
            counter("collections_generation_1", middle),
            counter("collections_generation_2", old),
        ],
        collections: old,
        incomplete: walk.incomplete,
        rows: walk.rows(),
    })
}

struct Walk<'a> {
    process: &'a Process,
    memory: &'a mut Memory,
    tallies: HashMap<u64, Tally>,
    objects: u64,
    mended: u32,
    incomplete: Option<&'static str>,
}

impl<'a> Walk<'a> {
    fn new(process: &'a Process, memory: &'a mut Memory) -> Self {
        Self {
            process,
            memory,
            tallies: HashMap::new(),
            objects: 0,
            mended: 0,
            incomplete: None,
        }
    }

    /// Walks the list of one generation.
    fn list(&mut self, head: u64) -> Result<(), Unknown> {
        self.check(head)?;
        let mut last = Last::default();
        let mut ring = Ring::default();
        let mut at = self.next(head);
        loop {
            match at {
                Some(end) if end == head => return Ok(()),
                Some(object) if ring.closes(object) => {
                    return Err(Unknown::Layout(
                        "a generation of its collector is a list without an end",
                    ));
                }
                Some(object) if self.objects < MAX_OBJECTS => {
                    at = self.object(object).filter(|&next| next != object);
                    if at.is_some() {
                        last.push(object);
                    } else {
                        at = self.mend(&mut last, head);
                        ring = Ring::default();
                    }
                }
                Some(_) => {
                    self.incomplete = Some("it has more objects than are counted");
                    return Ok(());
                }
                None => {
                    self.incomplete = Some("its objects changed too fast to be counted all");
                    return Ok(());
                }
            }
        }
    }

    /// Whether that is the head of a list: the first one leads back to it. The process may be about to change it.
    fn check(&mut self, head: u64) -> Result<(), Unknown> {
        for _ in 0..3 {
            let first: u64 = self.memory.value(head)?;
            let back: io::Result<u64> = self.memory.value((first & !MARKS).wrapping_add(8));
            if back.is_ok_and(|back| back & !MARKS == head) {
                return Ok(());
            }
        }
        Err(Unknown::Layout("no generation of its collector is a list"))
    }

    /// Where the list goes on, as it is now.
    fn next(&mut self, head: u64) -> Option<u64> {
        let next = self.memory.value::<u64>(head).ok()? & !MARKS;
        (next != 0).then_some(next)
    }

    /// Counts one and says which is the next; `None` when it is none.
    fn object(&mut self, head: u64) -> Option<u64> {
        let tracked = self.tracked(head).ok()?;
        let next = tracked.next & !MARKS;
        if next == 0 {
            return None;
        }
        let tally = self.tally(tracked.type_of)?;
        tally.objects += 1;
        if let Some(word) = tally.of.items {
            let items = tracked.own[word].min(MAX_ITEMS);
            tally.items = tally.items.saturating_add(items);
        }
        self.objects += 1;
        Some(next)
    }

    fn tracked(&mut self, head: u64) -> io::Result<Tracked> {
        if let Ok(whole) = self.memory.cached(head) {
            return Ok(whole);
        }
        // The last object before the end of a mapping may have no more than this.
        let [next, previous, references, type_of] = self.memory.cached(head)?;
        Ok(Tracked {
            next,
            previous,
            references,
            type_of,
            own: [0; 3],
        })
    }

    /// The next one after the last of those before that is still in the list.
    fn mend(&mut self, last: &mut Last, head: u64) -> Option<u64> {
        if self.mended == MAX_MENDED {
            return None;
        }
        self.mended += 1;
        // What was read before is what broke it.
        self.memory.forget();
        let mut popped = None;
        while let Some(object) = last.pop() {
            // One that leads to where the walk came along leads nowhere else.
            if let Some(next) = self.next(object).filter(|&next| Some(next) != popped)
                && (next == head || self.is_object(next))
            {
                return Some(next);
            }
            popped = Some(object);
        }
        None
    }

    fn is_object(&mut self, head: u64) -> bool {
        let begins: io::Result<[u64; 4]> = self.memory.value(head);
        begins.is_ok_and(|[next, _, _, type_of]| next != 0 && self.tally(type_of).is_some())
    }

    /// What is counted of the type there; `None` when there is none.
    fn tally(&mut self, address: u64) -> Option<&mut Tally> {
        let is_full = self.tallies.len() >= MAX_TYPES;
        match self.tallies.entry(address) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(_) if is_full => None,
            Entry::Vacant(new) => {
                let of = Type::read(self.process, self.memory, address)?;
                Some(new.insert(Tally {
                    of,
                    objects: 0,
                    items: 0,
                }))
            }
        }
    }

    /// One row for each name: types of the same name are told apart by nothing that stays the same.
    fn rows(self) -> Vec<CensusRow> {
        let Self {
            process,
            memory,
            tallies,
            ..
        } = self;
        let mut rows: HashMap<String, (u64, u64)> = HashMap::new();
        for (address, tally) in tallies.iter().filter(|(_, tally)| tally.objects > 0) {
            let name = types::name(process, memory, *address, &tally.of);
            let (objects, bytes) = rows.entry(name).or_default();
            *objects += tally.objects;
            let own = tally.objects.saturating_mul(HEAD + tally.of.basic_size);
            let items = tally.items.saturating_mul(ITEM);
            *bytes = bytes.saturating_add(own).saturating_add(items);
        }
        rows.into_iter()
            .map(|(name, (count, bytes))| CensusRow::of(Counted::Type, name, count, Some(bytes)))
            .collect()
    }
}

/// The last objects of a walk.
#[derive(Default)]
struct Last {
    objects: [u64; LAST],
    pushed: usize,
    kept: usize,
}

impl Last {
    fn push(&mut self, object: u64) {
        self.objects[self.pushed % LAST] = object;
        self.pushed += 1;
        self.kept = (self.kept + 1).min(LAST);
    }

    fn pop(&mut self) -> Option<u64> {
        self.kept = self.kept.checked_sub(1)?;
        self.pushed -= 1;
        Some(self.objects[self.pushed % LAST])
    }
}

/// Notices when a walk goes in circles (R. P. Brent, An improved Monte Carlo factorization algorithm, section 7).
#[derive(Default)]
struct Ring {
    mark: u64,
    since_mark: u64,
    until_next: u64,
}

impl Ring {
    fn closes(&mut self, object: u64) -> bool {
        if object == self.mark {
            return true;
        }
        if self.since_mark == self.until_next {
            self.mark = object;
            self.since_mark = 0;
            self.until_next = 2 * self.until_next + 1;
        }
        self.since_mark += 1;
        false
    }
}

#[cfg(test)]
mod tests;
