//! Java on HotSpot: the JVM's own counters, the objects of its heap by class, its threads by pool.
//!
//! Where everything is, `libjvm.so` says itself ([`hotspot`]); so no version needs a table of offsets.

mod counters;
mod flags;
mod heap;
pub(super) mod perf_data;
mod pools;
mod threads;

use self::{flags::Flags, heap::Histogram, perf_data::PerfData};
use super::{Runtime, Unknown, memory::Memory, target::Target};
use crate::{
    hotspot::{self, vm_structs::VmStructs},
    model::{
        census::{CensusRow, Counted, MAX_ROWS, RuntimeView},
        runtime,
    },
};

/// Bytes of counters at the most; a JVM sets 32 KiB aside.
const MAX_COUNTERS: u64 = 1 << 20;
/// Thread pools that are shown; the other rows are classes.
const MAX_POOLS: usize = 16;

/// Java.
pub(super) struct Jvm;

impl Runtime for Jvm {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        target.mapped_file(|name| name == "libjvm.so")?;
        let mut view = RuntimeView {
            runtime: runtime::JAVA.to_owned(),
            ..RuntimeView::default()
        };
        if let Err(error) = read(target, memory, &mut view) {
            view.unknown = Some(error.to_string());
        }
        Some(view)
    }
}

/// Fills in what can be read, in the order of what it needs.
fn read(target: &Target, memory: &mut Memory, view: &mut RuntimeView) -> Result<(), Unknown> {
    let libjvm = target.mapped_file(|name| name == "libjvm.so");
    let libjvm = target.binary(libjvm.ok_or(Unknown::NotKept("its libjvm.so is gone"))?)?;
    let symbols = libjvm.symbols().map(|symbol| (symbol.name, symbol.address));
    let structs = VmStructs::read(symbols, memory)?;
    let release = hotspot::release(&structs, memory)?;
    view.version = Some(release.clone());
    if !hotspot::is_known(&release) {
        return Err(hotspot::Unknown::Release(release).into());
    }
    let counters = perf_data(&structs, memory);
    if let Ok(data) = &counters {
        view.heap = counters::heap(data);
        view.counters = counters::counters(data);
    }
    view.rows = pools::pools(&target.threads());
    view.rows.truncate(MAX_POOLS);
    let flags = Flags::read(&structs, memory)?;
    let tlabs = |memory: &mut Memory| threads::unused_buffers(&structs, memory);
    let full = |memory: &mut Memory| {
        perf_data(&structs, memory)
            .ok()?
            .number("sun.gc.collector.1.invocations")
    };
    let histogram = heap::histogram(&structs, &flags, tlabs, full, memory)?;
    view.heap.reserved = Some(histogram.reserved);
    view.heap.in_use = histogram.in_use.or(view.heap.in_use);
    view.rows.extend(rows(&histogram));
    view.unknown = histogram.part;
    counters.map(drop)
}

/// The classes that hold most.
fn rows(histogram: &Histogram) -> impl Iterator<Item = CensusRow> {
    let classes = histogram.classes.iter().take(MAX_ROWS - MAX_POOLS);
    classes.map(|(name, count, bytes)| CensusRow::of(Counted::Class, name.clone(), *count, Some(*bytes)))
}

/// The JVM's counters. They are read where it writes them, so that it does not matter where the file is that it shares
/// them by, and whether there is one.
fn perf_data(structs: &VmStructs, memory: &mut Memory) -> Result<PerfData, Unknown> {
    let start = memory.value::<u64>(structs.address(&[("PerfMemory", "_start")])?)?;
    let capacity = memory.value::<u64>(structs.address(&[("PerfMemory", "_capacity")])?)?;
    if start == 0 {
        return Err(Unknown::NotKept("it keeps no counters (-XX:-UsePerfData)"));
    }
    let length = usize::try_from(capacity.min(MAX_COUNTERS)).unwrap_or(0);
    let mut bytes = vec![0; length];
    memory.read(start, &mut bytes)?;
    PerfData::parse(&bytes)
}
