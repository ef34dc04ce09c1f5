//! Where the lists of goroutines and of allocation sites begin. A file with symbols says it; in a stripped one the variables
//! are looked for: what they point to can be recognised.

use std::sync::OnceLock;

use super::{
    buckets::{self, HEADER_WORDS},
    goroutines::{Slice, Slot},
    places::Places,
    program::Map,
};
use crate::runtimes::{Unknown, binary::Binary, memory::Memory, target::Target};

/// Where Go's linker puts variables.
const SECTIONS: [&str; 4] = [".data", ".noptrdata", ".bss", ".noptrbss"];
/// Bytes that are searched at the most, and things that may be it.
const MAX_SEARCHED: u64 = 256 << 20;
const MAX_CANDIDATES: usize = 1 << 20;
/// Candidates that are looked at with one call.
const BATCH: usize = 4096;

/// What is searched.
pub(super) struct Search<'a> {
    pub(super) target: &'a Target,
    pub(super) binary: &'a Binary,
    pub(super) map: &'a Map,
}

impl Search<'_> {
    /// The list of goroutines.
    ///
    /// # Errors
    /// When it cannot be read, or is not found.
    pub(super) fn goroutines(&self, memory: &mut Memory, places: &mut Places) -> Result<Slice, Unknown> {
        let at = match self.map.goroutines.get() {
            Some(&at) => at.wrapping_add(self.binary.bias()),
            None => self.find_goroutines(memory, places)?,
        };
        Slice::parse(memory.value(at)?).ok_or(Unknown::Layout("its list of goroutines is none"))
    }

    /// The first bucket of the heap profile; `None` when nothing is in it yet.
    ///
    /// # Errors
    /// When it cannot be read, or is not found.
    pub(super) fn buckets(&self, memory: &mut Memory, places: &Places) -> Result<Option<u64>, Unknown> {
        let at = match self.map.buckets.get() {
            Some(&at) => at.wrapping_add(self.binary.bias()),
            None => self.find_buckets(memory, places)?,
        };
        let first: u64 = memory.value(at)?;
        Ok((first != 0).then_some(first))
    }

    /// The first goroutine of a program is the one with the id 1, and runs `runtime.main`.
    fn find_goroutines(&self, memory: &mut Memory, places: &mut Places) -> Result<u64, Unknown> {
        let layout = self.map.layout;
        let mut lists: Vec<(u64, Slice)> = Vec::new();
        self.each_word(memory, |at, words| {
            let slice = words.first_chunk().and_then(|words| Slice::parse(*words));
            lists.extend(
                slice
                    .filter(|slice| self.is_variable(slice.address, slice.capacity * 8))
                    .map(|slice| (at, slice)),
            );
            lists.len() < MAX_CANDIDATES
        })?;
        let mut found = Vec::new();
        let (mut pointers, mut goroutines) = (Vec::new(), Vec::new());
        for batch in lists.chunks(BATCH) {
            let first: Vec<u64> = batch.iter().map(|(_, slice)| slice.address).collect();
            memory.scattered(&first, 8, &mut pointers);
            let first: Vec<u64> = pointers
                .chunks_exact(8)
                .map(bytemuck::pod_read_unaligned)
                .collect();
            memory.scattered(&first, layout.goroutine_size(), &mut goroutines);
            let goroutines = goroutines.chunks_exact(layout.goroutine_size());
            for (&(at, _), bytes) in batch.iter().zip(goroutines) {
                let slot = Slot::parse(bytes, layout, |address| places.is_code(address));
                if let Slot::Alive(goroutine) = slot
                    && goroutine.id == 1
                    && places.at(goroutine.start).name() == "runtime.main"
                {
                    found.push(at);
                }
            }
        }
        self.only(&found, &self.map.goroutines).ok_or(Unknown::NotKept(
            "its list of goroutines was not found in a stripped program",
        ))
    }

    fn find_buckets(&self, memory: &mut Memory, places: &Places) -> Result<u64, Unknown> {
        const WORDS: usize = HEADER_WORDS + 1;
        let mut pointers: Vec<(u64, u64)> = Vec::new();
        self.each_word(memory, |at, words| {
            let to = words.first().copied().unwrap_or_default();
            if to != 0 && to.is_multiple_of(8) && self.is_variable(to, WORDS as u64 * 8) {
                pointers.push((at, to));
            }
            pointers.len() < MAX_CANDIDATES
        })?;
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        for batch in pointers.chunks(BATCH) {
            let to: Vec<u64> = batch.iter().map(|&(_, to)| to).collect();
            memory.scattered(&to, WORDS * 8, &mut bytes);
            for (&(at, _), bytes) in batch.iter().zip(bytes.chunks_exact(WORDS * 8)) {
                let words: [u64; WORDS] = bytemuck::pod_read_unaligned(bytes);
                let header = words
                    .first_chunk()
                    .is_some_and(|words| buckets::is_header(*words));
                if header && places.is_code(words[HEADER_WORDS]) {
                    found.push(at);
                }
            }
        }
        self.only(&found, &self.map.buckets).ok_or(Unknown::NotKept(
            "the heap profile was not found in a stripped program",
        ))
    }

    /// Gives every word of the resident part of its variables to `look`, with what follows it; stops when that says so.
    fn each_word(
        &self,
        memory: &mut Memory,
        mut look: impl FnMut(u64, &[u64]) -> bool,
    ) -> Result<(), Unknown> {
        let mut left = MAX_SEARCHED;
        for range in SECTIONS.into_iter().filter_map(|name| self.binary.section(name)) {
            memory.resident(range.start, range.end, |from, bytes| {
                let words: Vec<u64> = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
                left = left.saturating_sub(bytes.len() as u64);
                let mut addresses = (from..).step_by(8).zip(0..words.len());
                left > 0 && addresses.all(|(at, index)| !range.contains(&at) || look(at, &words[index..]))
            })?;
        }
        Ok(())
    }

    /// Whether that is memory that the program allocated.
    fn is_variable(&self, address: u64, size: u64) -> bool {
        let mapping = self.target.mapping(address);
        let end = address.checked_add(size);
        mapping.is_some_and(|mapping| {
            mapping.writable && mapping.is_anonymous() && end.is_some_and(|end| end <= mapping.end)
        })
    }

    /// It is remembered for every process of this program, as its file would state it.
    fn only(&self, found: &[u64], remembered: &OnceLock<u64>) -> Option<u64> {
        let [at] = found else { return None };
        // Another census may have been faster.
        let _ = remembered.set(at.wrapping_sub(self.binary.bias()));
        Some(*at)
    }
}
