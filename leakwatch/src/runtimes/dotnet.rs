//! .NET: its version, what its garbage collector has set aside and committed, its threads.
//!
//! The collector sets address space aside (`PROT_NONE`) and commits it from the front, so both show in the mappings: in
//! segments up to .NET 6, in one range since. What is in it, the runtime tells debuggers and EventPipe only, and both act on
//! the process.

use super::{Runtime, memory::Memory, target::Mapping, target::Target};
use crate::model::census::{CensusRow, Counted, Heap, RuntimeView};

/// Address space that is set aside for less is no heap: loaders set megabytes aside. The smallest segment has 16 MiB.
const SMALLEST: u64 = 16 << 20;
/// Heaps of glibc's arenas look the same: they lie at multiples of their size.
const ARENA: u64 = 64 << 20;
/// Threads of the runtime have this before their name since .NET 6: `.NET TP Worker`, `.NET Finalizer`.
const THREADS: &str = ".NET ";

/// .NET on CoreCLR.
pub(super) struct Dotnet;

impl Runtime for Dotnet {
    fn view(&self, target: &Target, _: &mut Memory) -> Option<RuntimeView> {
        let library = target.mapped_file(|name| name == "libcoreclr.so")?;
        Some(RuntimeView {
            runtime: "dotnet".to_owned(),
            version: version(&library.name),
            heap: heap(target.mappings()),
            rows: threads(&target.threads()),
            unknown: Some(
                "what is on its heap: .NET tells debuggers and EventPipe only, and both act on the process"
                    .to_owned(),
            ),
            ..RuntimeView::default()
        })
    }
}

/// It is the directory that the runtime is installed in; a program that brings its own runtime has no such directory.
fn version(path: &str) -> Option<String> {
    let directory = path.rsplit('/').nth(1)?;
    let is_version = directory.contains('.') && directory.starts_with(|c: char| c.is_ascii_digit());
    is_version.then(|| directory.to_owned())
}

fn heap(mappings: &[Mapping]) -> Heap {
    let (mut reserved, mut committed) = (0, 0);
    let is_anonymous =
        |mapping: &Mapping| mapping.is_anonymous() && mapping.name.is_empty() && !mapping.executable;
    let is_reserved = |mapping: &Mapping| is_anonymous(mapping) && !mapping.readable && !mapping.writable;
    // Where the last one ended: what lies before it is counted already.
    let mut done = 0;
    for (index, last) in mappings.iter().enumerate() {
        if !is_reserved(last) || last.size() < SMALLEST {
            continue;
        }
        let mut start = last.start;
        let mut inside = 0;
        for before in mappings[..index].iter().rev() {
            let belongs = before.end == start && before.start >= done && is_anonymous(before);
            if !belongs || before.end % ARENA == 0 && is_reserved(before) {
                break;
            }
            start = before.start;
            inside += if is_reserved(before) { 0 } else { before.size() };
        }
        let is_arena = start % ARENA == 0 && last.end - start == ARENA;
        done = last.end;
        if !is_arena && inside > 0 {
            reserved += last.end - start;
            committed += inside;
        }
    }
    Heap {
        reserved: Some(reserved).filter(|bytes| *bytes > 0),
        committed: Some(committed).filter(|bytes| *bytes > 0),
        ..Heap::default()
    }
}

fn threads(threads: &[(u32, String)]) -> Vec<CensusRow> {
    let mut rows: Vec<CensusRow> = Vec::new();
    for (_, name) in threads.iter().filter(|(_, name)| name.starts_with(THREADS)) {
        if let Some(row) = rows.iter_mut().find(|row| row.name == *name) {
            row.count += 1;
        } else {
            rows.push(CensusRow {
                counted: Counted::ThreadPool,
                name: name.clone(),
                count: 1,
                bytes: None,
                oldest_seconds: None,
                frames: Vec::new(),
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, may: &str) -> Mapping {
        Mapping {
            start,
            end,
            readable: may.contains('r'),
            writable: may.contains('w'),
            executable: may.contains('x'),
            offset: 0,
            inode: 0,
            name: String::new(),
        }
    }

    #[test]
    fn the_version_is_the_directory() {
        let of = |path| version(path);
        assert_eq!(
            of("/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11/libcoreclr.so").as_deref(),
            Some("8.0.11")
        );
        assert_eq!(of("/app/libcoreclr.so"), None);
        assert_eq!(of("libcoreclr.so"), None);
    }

    #[test]
    fn set_aside_and_committed_without_the_arenas_of_glibc() {
        let mib = 1 << 20;
        let base = 100 * ARENA;
        let mappings = [
            // A heap of an arena, and directly behind it a segment of the collector's.
            mapping(base, base + mib, "rw"),
            mapping(base + mib, base + ARENA, ""),
            mapping(base + ARENA, base + ARENA + 8 * mib, "rw"),
            mapping(base + ARENA + 8 * mib, base + ARENA + 9 * mib, ""),
            mapping(base + ARENA + 9 * mib, base + ARENA + 10 * mib, "rw"),
            mapping(base + ARENA + 10 * mib, base + ARENA + 256 * mib, ""),
            // A stack with its guard, and a loader's heap.
            mapping(base + 500 * mib, base + 501 * mib, ""),
            mapping(base + 501 * mib, base + 509 * mib, "rw"),
            mapping(base + 600 * mib, base + 601 * mib, "rw"),
            mapping(base + 601 * mib, base + 604 * mib, ""),
        ];
        let heap = heap(&mappings);
        assert_eq!((heap.reserved, heap.committed), (Some(256 * mib), Some(9 * mib)));
    }

    #[test]
    fn threads_by_name() {
        let named = |name: &str| (1, name.to_owned());
        let rows = threads(&[named(".NET TP Worker"), named("main"), named(".NET TP Worker")]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].name.as_str(), rows[0].count), (".NET TP Worker", 2));
    }
}
