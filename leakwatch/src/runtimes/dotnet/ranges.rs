//! The heap as the mappings show it: the collector sets address space aside (`PROT_NONE`) and commits it from the front, in
//! segments up to .NET 6, in one range since.

use super::{super::target::Mapping, LIBRARY};
use crate::model::census::Heap;

/// Address space that is set aside for less is no heap: loaders set megabytes aside. The smallest segment has 16 MiB.
const SMALLEST: u64 = 16 << 20;
/// Heaps of glibc's arenas look the same: they lie at multiples of their size.
const ARENA: u64 = 64 << 20;
/// The collector commits and leaves out at least so much; less is what guards a stack.
const HOLE: u64 = 64 << 10;

/// What is set aside, and what is committed.
pub(super) fn heap(mappings: &[Mapping]) -> Heap {
    let (mut reserved, mut committed) = (0, 0);
    let is_anonymous =
        |mapping: &Mapping| mapping.is_anonymous() && mapping.name.is_empty() && !mapping.executable;
    let is_reserved = |mapping: &Mapping| is_anonymous(mapping) && !mapping.readable && !mapping.writable;
    // Where the last one ended: what lies before it is counted already.
    let mut done = 0;
    for (index, last) in mappings.iter().enumerate() {
        // What the runtime sets aside for its code ends where its library begins.
        let next = mappings.get(index + 1);
        let is_for_code = next.is_some_and(|next| next.start == last.end && next.file_name() == LIBRARY);
        if !is_reserved(last) || last.size() < SMALLEST || is_for_code {
            continue;
        }
        let mut start = last.start;
        let mut inside = 0;
        for before in mappings[..index].iter().rev() {
            let belongs = before.end == start && before.start >= done && is_anonymous(before);
            let is_guard = is_reserved(before) && before.size() < HOLE;
            if !belongs || is_guard || before.end % ARENA == 0 && is_reserved(before) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn mapping(start: u64, end: u64, may: &str, name: &str) -> Mapping {
        Mapping {
            readable: may.contains('r'),
            writable: may.contains('w'),
            executable: may.contains('x'),
            inode: name.len() as u64,
            ..Mapping::anonymous(start, end, name)
        }
    }

    #[test]
    fn set_aside_and_committed_without_the_arenas_of_glibc() {
        let base = 100 * ARENA;
        let at = |from: u64, to: u64, may| mapping(base + from * MIB, base + to * MIB, may, "");
        let mappings = [
            // A heap of an arena, and directly behind it a segment of the collector's.
            at(0, 1, "rw"),
            at(1, 64, ""),
            at(64, 72, "rw"),
            at(72, 73, ""),
            at(73, 74, "rw"),
            at(74, 320, ""),
            // A stack with its guard, and a loader's heap.
            at(500, 501, ""),
            at(501, 509, "rw"),
            at(600, 601, "rw"),
            at(601, 604, ""),
        ];
        let heap = heap(&mappings);
        assert_eq!((heap.reserved, heap.committed), (Some(256 * MIB), Some(9 * MIB)));
    }

    #[test]
    fn stacks_before_it_and_room_for_code_are_no_heap() {
        let base = 100 * ARENA;
        let guard = base + 8 * MIB;
        let library = base + 3000 * MIB;
        let mappings = [
            mapping(base, guard, "rw", ""),
            mapping(guard, guard + 4096, "", ""),
            mapping(guard + 4096, guard + MIB, "rw", ""),
            mapping(guard + MIB, guard + 256 * MIB, "", ""),
            mapping(library - 2000 * MIB, library - 1999 * MIB, "rw", ""),
            mapping(library - 1999 * MIB, library, "", ""),
            mapping(library, library + 4 * MIB, "rx", "/opt/dotnet/libcoreclr.so"),
        ];
        let heap = heap(&mappings);
        let committed = MIB - 4096;
        assert_eq!(heap.committed, Some(committed));
        assert_eq!(heap.reserved, Some(256 * MIB - 4096));
    }
}
