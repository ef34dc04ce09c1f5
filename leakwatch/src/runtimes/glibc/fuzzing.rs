//! Any bytes, read as heaps of glibc.

use super::{
    heaps,
    layout::{HEAP_MAX, Layout},
    tally::Tally,
    vtables, walk,
};
use crate::{runtimes::target::Mapping, target_memory::flat::Flat};

const VERSIONS: [&str; 3] = ["2.23", "2.31", "2.36"];

/// The first byte chooses the version; the rest is a heap, of the main arena and of others.
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else {
        return;
    };
    let Some(layout) = Layout::of(VERSIONS[usize::from(choice) % VERSIONS.len()]) else {
        return;
    };
    let (start, end) = (HEAP_MAX, HEAP_MAX + bytes.len() as u64);
    let mut memory = Flat { start, bytes };
    for name in ["[heap]", ""] {
        let mapping = Mapping::anonymous(start, end, name);
        let heaps = heaps::find(&mut memory, &[mapping], layout);
        let files = vec![start..end];
        let mut tally = Tally::new(files.clone());
        for region in heaps.regions {
            if let Ok(ended) = walk::walk(
                &mut memory,
                region,
                |memory| heaps::ends_now(memory, region, |_| None),
                |chunk| tally.chunk(chunk),
            ) {
                tally.end(ended);
            }
        }
        let _ = tally.sizes(usize::MAX);
        let _ = vtables::classes(&tally, &files, &mut memory);
    }
}
