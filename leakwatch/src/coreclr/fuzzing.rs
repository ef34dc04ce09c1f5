//! Any bytes, as memory of a program on CoreCLR; and its metadata in it.

use super::metadata::Metadata;
use crate::target_memory::flat::Flat;

/// Where that memory begins: headers of methods lie no lower.
pub(crate) const START: u64 = 1 << 16;
const PAGE: usize = 4096;
const MAX_PAGES: usize = 4;
/// Rows that are looked at, and pages.
const ROWS: u32 = 16;
const PAGES: u64 = 64;

/// Whole pages that begin with the bytes: a small number in them leads to that byte of them.
pub(crate) fn pages(bytes: &[u8]) -> Vec<u8> {
    let count = bytes.len().div_ceil(PAGE).clamp(1, MAX_PAGES);
    let mut pages = vec![0; count * PAGE];
    let length = pages.len() as u64;
    for (into, word) in pages.chunks_exact_mut(8).zip(bytes.chunks_exact(8)) {
        let mut number = [0; 8];
        number.copy_from_slice(word);
        let number = u64::from_le_bytes(number);
        let is_place = (1..length).contains(&number);
        let number = if is_place { START + number } else { number };
        into.copy_from_slice(&number.to_le_bytes());
    }
    pages
}

/// The metadata that the first word says the name is in.
pub(crate) fn metadata(bytes: &[u8]) {
    let name = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let mut memory = Flat { start: START, bytes };
    let mut pages = PAGES;
    if let Some(metadata) = Metadata::around(name, &mut pages, &mut memory) {
        for row in (0..ROWS).chain([u32::MAX]) {
            let _ = metadata.type_name(row, &mut memory);
            let _ = metadata.method_name(row, &mut memory);
        }
    }
}
