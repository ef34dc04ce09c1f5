//! The heap as the collector's own books have it: `gcController` and `memstats`.

use super::{
    layout::{HEAP_FREE, HEAP_IN_USE, HEAP_MARKED, HEAP_RELEASED},
    program::Map,
};
use crate::{
    model::census::Heap,
    runtimes::{Unknown, memory::Memory},
};

/// Bytes from `heapLive` to the end of `heapFree`.
const SIZE: usize = HEAP_FREE + 8;
/// Size of a page of Go's heap, bytes.
const PAGE: u64 = 8192;
/// No address space is larger, bytes.
const MAX_HEAP: u64 = 1 << 47;

/// Reads the books.
///
/// # Errors
/// When they cannot be found or read, or do not add up.
pub(super) fn read(memory: &mut Memory, map: &Map, bias: u64) -> Result<Heap, Unknown> {
    let (Some(collector), Some(statistics)) = (map.collector, map.statistics) else {
        return Err(Unknown::NotKept("sizes of the heap: the program is stripped"));
    };
    let mut bytes = [0; SIZE];
    memory.read(
        collector.wrapping_add(bias).wrapping_add(map.layout.heap_live),
        &mut bytes,
    )?;
    let collections: u32 =
        memory.value(statistics.wrapping_add(bias).wrapping_add(map.layout.collections))?;
    parse(&bytes, collections).ok_or(Unknown::Layout("the sizes of its heap do not fit together"))
}

fn parse(bytes: &[u8; SIZE], collections: u32) -> Option<Heap> {
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (live, marked) = (word(0)?, word(HEAP_MARKED)?);
    let (in_use, released, free) = (word(HEAP_IN_USE)?, word(HEAP_RELEASED)?, word(HEAP_FREE)?);
    let fits = [live, marked, in_use, released, free]
        .iter()
        .all(|&size| size < MAX_HEAP)
        && in_use > 0
        && [in_use, released, free]
            .iter()
            .all(|&size| size.is_multiple_of(PAGE / 2));
    fits.then_some(Heap {
        reserved: Some(in_use + free + released),
        committed: Some(in_use + free),
        in_use: Some(live),
        // Of the last mark; nothing was marked before the first.
        live: (collections > 0).then_some(marked),
        free: Some(free),
        collections: Some(collections.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(words: &[(usize, u64)]) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for &(at, word) in words {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn sizes() {
        let bytes = books(&[
            (0, 5000),
            (HEAP_MARKED, 4000),
            (HEAP_IN_USE, 2 * PAGE),
            (HEAP_RELEASED, 3 * PAGE),
            (HEAP_FREE, PAGE),
        ]);
        let heap = parse(&bytes, 7).expect("they fit");
        assert_eq!(
            (heap.in_use, heap.live, heap.collections),
            (Some(5000), Some(4000), Some(7))
        );
        assert_eq!((heap.committed, heap.reserved), (Some(3 * PAGE), Some(6 * PAGE)));
        assert_eq!(parse(&bytes, 0).expect("they fit").live, None);
    }

    #[test]
    fn what_does_not_fit() {
        assert_eq!(parse(&books(&[]), 1), None);
        assert_eq!(parse(&books(&[(HEAP_IN_USE, PAGE + 1)]), 1), None);
        assert_eq!(parse(&books(&[(HEAP_IN_USE, PAGE), (0, u64::MAX)]), 1), None);
    }
}
