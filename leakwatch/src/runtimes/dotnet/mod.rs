//! .NET: its version, what its garbage collector has set aside and committed, objects by type, its threads.
//!
//! Where the layout of the runtime's data is known ([`crate::coreclr`]), segments of the heap are told by their own heads
//! and the objects in them are counted. Elsewhere the mappings show what is set aside and committed, and no more: the
//! runtime tells debuggers and EventPipe, and both act on the process.

#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod objects;
mod ranges;
mod segments;

use self::{objects::Objects, segments::Segment};
use super::{
    Runtime,
    memory::Memory,
    target::{Mapping, Target},
};
use crate::{
    coreclr,
    model::{
        census::{CensusRow, Counted, Heap, MAX_ROWS, RuntimeView},
        runtime,
    },
    target_memory::ResidentMemory,
};

/// The library that the runtime is.
const LIBRARY: &str = "libcoreclr.so";
/// `WKS::gc_heap::alloc_allocated`.
const NEWEST: &str = "_ZN3WKS7gc_heap15alloc_allocatedE";
/// Threads of the runtime have this before their name since .NET 6: `.NET TP Worker`, `.NET Finalizer`.
const THREADS: &str = ".NET ";
/// Names of such threads at the most.
const MAX_POOLS: usize = 16;
/// A walk that can say less than so many hundredths of the heap's bytes says so.
const COVERED: u64 = 90;

/// .NET on CoreCLR.
pub(super) struct Dotnet;

impl Runtime for Dotnet {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let library = target.mapped_file(|name| name == LIBRARY)?;
        let version = coreclr::version(&library.name);
        let segments = if version.is_some_and(coreclr::is_known) {
            let newest = newest(target, library, memory);
            segments::segments(target.mappings(), newest, memory)
        } else {
            Vec::new()
        };
        let mut view = RuntimeView {
            runtime: runtime::DOTNET.to_owned(),
            version: version.map(str::to_owned),
            rows: threads(&target.threads()),
            ..RuntimeView::default()
        };
        if segments.is_empty() {
            view.heap = ranges::heap(target.mappings());
            view.unknown = Some(
                "what is on its heap: .NET tells debuggers and EventPipe only, and both act on the process"
                    .to_owned(),
            );
        } else {
            let mut objects = Objects::new(memory);
            for segment in &segments {
                objects.walk(segment);
            }
            view.heap = heap(&segments, &objects);
            let covered = objects.covered_percent();
            view.unknown = (covered < COVERED)
                .then(|| format!("{covered} % of the bytes of its heap are in objects that can be told"));
            view.rows.extend(objects.rows(MAX_ROWS - MAX_POOLS));
        }
        Some(view)
    }
}

/// Where the youngest objects end, in the heap of a program without one for each processor; `None` where the library's
/// symbols were removed.
fn newest(target: &Target, library: &Mapping, memory: &mut Memory) -> Option<u64> {
    let binary = target.binary(library).ok()?;
    memory.value(binary.symbol(NEWEST)?.address).ok()
}

fn heap(segments: &[Segment], objects: &Objects<'_, impl ResidentMemory>) -> Heap {
    let sum = |of: fn(&Segment) -> u64| Some(segments.iter().map(of).fold(0, u64::saturating_add));
    Heap {
        reserved: sum(|segment| segment.reserved - segment.start),
        committed: sum(|segment| segment.committed - segment.start),
        in_use: Some(objects.bytes()),
        free: Some(objects.free_bytes()),
        ..Heap::default()
    }
}

fn threads(threads: &[(u32, String)]) -> Vec<CensusRow> {
    let mut rows: Vec<CensusRow> = Vec::new();
    for (_, name) in threads.iter().filter(|(_, name)| name.starts_with(THREADS)) {
        if let Some(row) = rows.iter_mut().find(|row| row.name == *name) {
            row.count += 1;
        } else if rows.len() < MAX_POOLS {
            rows.push(CensusRow::of(Counted::ThreadPool, name.clone(), 1, None));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_by_name() {
        let named = |name: &str| (1, name.to_owned());
        let rows = threads(&[named(".NET TP Worker"), named("main"), named(".NET TP Worker")]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].name.as_str(), rows[0].count), (".NET TP Worker", 2));
    }
}
