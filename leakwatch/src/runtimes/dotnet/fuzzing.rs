//! Any bytes, read as each thing that .NET keeps.

use super::{
    LIBRARY, heap,
    objects::Objects,
    ranges,
    segments::{self, Segment},
};
use crate::{
    coreclr::fuzzing::{START, metadata, pages},
    runtimes::target::Mapping,
    target_memory::flat::Flat,
};

/// A segment's objects begin so far behind it; so much of the memory is a mapping of its own.
const HEAD: u64 = 4096;
/// Address space is made of pieces of this size.
const PIECE: u64 = 1 << 20;
const MAX_ROWS: usize = 16;

/// The bytes are the memory of a process; a small number in them leads to that byte of them. Each three of them are a
/// mapping as well.
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let _ = ranges::heap(&mappings(bytes));
    let pages = pages(bytes);
    metadata(&pages);
    let newest = pages.first_chunk().map(|word| u64::from_le_bytes(*word));
    let end = START + pages.len() as u64;
    let mut memory = Flat {
        start: START,
        bytes: &pages,
    };
    let mappings = [
        Mapping::anonymous(START, START + HEAD, ""),
        Mapping::anonymous(START + HEAD, end, ""),
    ];
    let mut segments = segments::segments(&mappings, newest, &mut memory);
    // All of it is objects, too.
    segments.push(Segment {
        start: START - HEAD,
        allocated: end,
        committed: end,
        reserved: end,
    });
    let mut objects = Objects::new(&mut memory);
    for segment in &segments {
        objects.walk(segment);
    }
    let _ = heap(&segments, &objects);
    assert!(objects.covered_percent() <= 100);
    let _ = objects.rows(MAX_ROWS).count();
}

/// Of each three bytes: what may be done there and whose it is, how far it is behind the one before, how long it is.
fn mappings(bytes: &[u8]) -> Vec<Mapping> {
    let mut at = 0;
    let mapping = |of: &[u8]| {
        let is = |bit: u8| of[0] & bit != 0;
        let start = at + u64::from(of[1]) * PIECE;
        at = start + (1 + u64::from(of[2])) * PIECE;
        let name = if is(16) {
            format!("/{LIBRARY}")
        } else {
            String::new()
        };
        Mapping {
            readable: is(1),
            writable: is(2),
            executable: is(4),
            inode: u64::from(is(8)),
            ..Mapping::anonymous(start, at, &name)
        }
    };
    bytes.chunks_exact(3).map(mapping).collect()
}
