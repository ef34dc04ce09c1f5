//! Any bytes, read as each thing that Go keeps.

use std::io;

use super::{
    buckets,
    build_info::BuildInfo,
    goroutines::{Slice, Slot},
    layout::Layout,
};

const VERSIONS: [&str; 3] = ["go1.19", "go1.24", "go1.27"];

/// The first byte chooses the version; the rest is the memory of a process, again and again.
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let _ = BuildInfo::parse(bytes);
    let Some((&choice, memory)) = bytes.split_first() else {
        return;
    };
    let Ok(layout) = Layout::of(VERSIONS[usize::from(choice) % VERSIONS.len()]) else {
        return;
    };
    let is_code = |address: u64| address < 1 << 40;
    let _ = Slot::parse(memory, layout, is_code);
    let words: Vec<u64> = memory
        .chunks_exact(8)
        .filter_map(|word| Some(u64::from_le_bytes(*word.first_chunk()?)))
        .collect();
    let word = |address: u64| {
        let index = usize::try_from(address / 8).unwrap_or(usize::MAX);
        words.get(index).copied().ok_or(io::ErrorKind::NotFound.into())
    };
    if let Some(slice) = words.first_chunk() {
        let _ = Slice::parse(*slice);
    }
    let _ = buckets::read(8, layout, is_code, word);
}
