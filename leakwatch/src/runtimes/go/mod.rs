//! Go: goroutines by who started them and where they wait, and the heap by who allocated it, out of the books that the runtime
//! keeps for its own tracebacks and profiles. Nothing is asked of the program.

mod allocations;
mod buckets;
mod build_info;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod goroutines;
mod heap;
mod layout;
mod library;
mod places;
mod program;
mod roots;
mod stacks;
mod waits;

use self::{
    goroutines::Goroutines,
    places::Places,
    program::{Map, Programs},
    roots::Search,
};
use super::{Runtime, Unknown, binary::Binary, memory::Memory, target::Target, unknown};
use crate::{
    clock::{self, ClockId},
    model::census::{CensusRow, Counter, Heap, RuntimeView},
};

const NAME: &str = crate::model::runtime::GO;
/// The section that every program of Go 1.13 and later has, stripped or not.
const BUILD_INFO: &str = ".go.buildinfo";
/// `runtime.MemProfileRate` as it is unless a program sets it: a sample for so many bytes.
const PROFILE_RATE: u64 = 512 << 10;

/// Reads programs that Go made.
pub(super) static GO: Go = Go(Programs::new());

/// Reads programs that Go made, and remembers them.
pub(super) struct Go(Programs);

impl Runtime for Go {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let binary = target.executable().ok()?;
        binary.section(BUILD_INFO)?;
        let program = self.0.of(&binary);
        let version = program.version.clone();
        let view = match &program.map {
            Ok(map) => Reader::new(target, &binary, map, memory).view(),
            Err(why) => unknown(NAME, None, why),
        };
        Some(RuntimeView { version, ..view })
    }
}

/// Reads one process.
struct Reader<'a> {
    search: Search<'a>,
    memory: &'a mut Memory,
    places: Places<'a>,
    /// What was not found out.
    unknown: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(target: &'a Target, binary: &'a Binary, map: &'a Map, memory: &'a mut Memory) -> Self {
        let code = map.code.start.wrapping_add(binary.bias());
        let module = target.mapping(code).map_or("", |mapping| &mapping.name);
        Self {
            search: Search { target, binary, map },
            memory,
            places: Places::new(map, binary.bias(), module),
            unknown: Vec::new(),
        }
    }

    fn view(mut self) -> RuntimeView {
        let (counters, mut rows) = match self.goroutines() {
            Ok(seen) => seen,
            // Where the one does not fit, what else looks as if it did is chance.
            Err(why @ Unknown::Layout(_)) => return unknown(NAME, None, &why),
            Err(why) => {
                self.unknown.push(format!("goroutines: {why}"));
                (Vec::new(), Vec::new())
            }
        };
        let heap = heap::read(self.memory, self.search.map, self.search.binary.bias());
        let heap = heap.unwrap_or_else(|why| {
            self.unknown.push(why.to_string());
            Heap::default()
        });
        match self.allocations() {
            Ok(allocations) => rows.extend(allocations),
            Err(why) => self.unknown.push(format!("heap by allocation site: {why}")),
        }
        RuntimeView {
            runtime: NAME.to_owned(),
            heap,
            counters,
            rows,
            unknown: (!self.unknown.is_empty()).then(|| self.unknown.join("; ")),
            ..RuntimeView::default()
        }
    }

    fn goroutines(&mut self) -> Result<(Vec<Counter>, Vec<CensusRow>), Unknown> {
        let list = self.search.goroutines(self.memory, &mut self.places)?;
        let layout = self.search.map.layout;
        let Goroutines {
            alive,
            looked_at,
            listed,
        } = goroutines::read(self.memory, list, layout, |address| self.places.is_code(address))?;
        let own = waits::of_program(&alive, &mut self.places);
        let weight = listed as f64 / looked_at as f64;
        if looked_at < listed {
            self.unknown.push(format!(
                "goroutines: {looked_at} of {listed} were looked at, and stand for the others"
            ));
        }
        let counter = Counter {
            name: "goroutines".to_owned(),
            value: allocations::rounded(own.len() as f64 * weight),
        };
        let now_ns = clock::now_ns(ClockId::Monotonic);
        let rows = waits::rows(self.memory, &own, weight, &mut self.places, now_ns);
        Ok((vec![counter], rows))
    }

    fn allocations(&mut self) -> Result<Vec<CensusRow>, Unknown> {
        let map = self.search.map;
        if !map.has_heap_profile {
            return Err(Unknown::NotKept(
                "this program does not link runtime.MemProfile (import net/http/pprof or runtime/pprof)",
            ));
        }
        let rate = self.profile_rate()?;
        let Some(first) = self.search.buckets(self.memory, &self.places)? else {
            return Ok(Vec::new());
        };
        let is_code = |address| self.places.is_code(address);
        let buckets = buckets::read(first, map.layout, is_code, |address| self.memory.cached(address))?;
        if buckets.is_cut {
            self.unknown
                .push("heap by allocation site: there are more sites than are read".to_owned());
        }
        Ok(allocations::rows(&buckets.live, rate, &mut self.places))
    }

    fn profile_rate(&mut self) -> Result<u64, Unknown> {
        let Some(at) = self.search.map.profile_rate else {
            self.unknown.push(
                "heap by allocation site: the program is stripped, it is read as sampled at the default rate"
                    .to_owned(),
            );
            return Ok(PROFILE_RATE);
        };
        match self
            .memory
            .value::<i64>(at.wrapping_add(self.search.binary.bias()))?
        {
            rate @ 1.. => Ok(rate.unsigned_abs()),
            _ => Err(Unknown::NotKept(
                "the program has set runtime.MemProfileRate to 0",
            )),
        }
    }
}
