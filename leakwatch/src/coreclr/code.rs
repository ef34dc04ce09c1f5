//! Code that the compiler at run time makes (`codeman.h`, `method.hpp`): which method an address is in.
//!
//! Before each method lies the address of its header, which says whose it is and how long. What is found is one only if it
//! all fits: the header's own distance to the start of the heap of code, its length, and the method behind it.

use std::ops::Range;

use crate::target_memory::TargetMemory;

/// Methods begin at multiples of this.
const ALIGNMENT: u64 = 16;
/// Bytes that are looked at, backwards; in pieces that end with pages.
const MAX_METHOD: u64 = 64 << 10;
const PAGE: u64 = 4096;
const PAGE_WORDS: usize = 512;
/// Words there that may be the address of a header, and are looked at.
const MAX_HEADERS: usize = 256;
/// Where headers may be.
const ADDRESSES: Range<u64> = 1 << 16..1 << 47;
/// Words of a header: the method, then how many pieces the code has, and where the first begins and ends.
const METHOD: usize = 3;
const PIECES: usize = 4;
const MAX_PIECES: u64 = 256;
/// A heap of code begins that near behind a multiple of what the system gives.
const GRANULARITY: u64 = 64 << 10;
const HEAP_HEAD: u64 = 4096;
/// Bytes before the first method of a chunk of methods, and the unit of their distances.
const CHUNK_HEAD: u64 = 24;
const UNIT: u64 = 8;
/// Bits of a method's number that are its own; the others are its chunk's.
const OWN_BITS: u32 = 14;
const CHUNK_BITS: u64 = 0x3ff;

/// A method that has code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// Where its code begins.
    pub(crate) start: u64,
    /// Where the address of its header lies is before that; this is what lies there.
    header: u64,
    /// What describes it.
    description: u64,
}

impl Method {
    /// The method whose code is at `pc`.
    pub(crate) fn at(pc: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let mut start = pc - pc % ALIGNMENT;
        let lowest = pc.saturating_sub(MAX_METHOD);
        let mut page = u64::MAX;
        let mut words = [0_u64; PAGE_WORDS];
        let mut headers = MAX_HEADERS;
        while start > lowest {
            let before = start.checked_sub(8)?;
            if before - before % PAGE != page {
                page = before - before % PAGE;
                words = memory.words(page).ok()?;
            }
            let header = words[usize::try_from(before % PAGE / 8).ok()?];
            if header.is_multiple_of(8) && ADDRESSES.contains(&header) {
                headers = headers.checked_sub(1)?;
                if let Some(method) = Self::with_header(start, header, pc, memory) {
                    return Some(method);
                }
            }
            start = start.checked_sub(ALIGNMENT)?;
        }
        None
    }

    fn with_header(start: u64, header: u64, pc: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let words: [u64; 6] = memory.words(header).ok()?;
        let (pieces, begin, end) = (
            words[PIECES] & 0xffff_ffff,
            words[PIECES] >> 32,
            words[PIECES + 1] & 0xffff_ffff,
        );
        let heap = start.checked_sub(begin)?;
        let is_header = (1..=MAX_PIECES).contains(&pieces)
            && end > begin
            && end - begin > pc - start
            && heap % GRANULARITY < HEAP_HEAD;
        is_header.then_some(Self {
            start,
            header,
            description: words[METHOD],
        })
    }

    /// Whether its code is still there.
    pub(crate) fn is_there(&self, memory: &mut impl TargetMemory) -> bool {
        let header = self.start.checked_sub(8).and_then(|at| memory.word(at).ok());
        let at = self.header.checked_add(METHOD as u64 * 8);
        header == Some(self.header) && at.and_then(|at| memory.word(at).ok()) == Some(self.description)
    }

    /// The type that it belongs to, and the number of its row in the metadata.
    pub(crate) fn owner(&self, memory: &mut impl TargetMemory) -> Option<(u64, u32)> {
        let word = memory.word(self.description).ok()?;
        let back = CHUNK_HEAD + (word >> 16 & 0xff) * UNIT;
        let chunk = self.description.checked_sub(back)?;
        let [table, _, flags] = memory.words(chunk).ok()?;
        let own = word & ((1 << OWN_BITS) - 1);
        let row = (flags >> 16 & CHUNK_BITS) << OWN_BITS | own;
        Some((table, u32::try_from(row).ok().filter(|&row| row > 0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const HEAP: u64 = 0x7f00_0001_0000;
    const START: u64 = HEAP + 0x220;
    const HEADER: u64 = 0x7f00_0009_0000;
    const CHUNK: u64 = 0x7f00_000a_0000;
    const TABLE: u64 = 0x7f00_000b_0000;

    fn memory() -> MadeUp {
        let mut memory = MadeUp::default();
        memory.put(HEAP, &[0x90; PAGE_WORDS * 8]);
        memory.put_words(START - 8, &[HEADER]);
        let description = CHUNK + CHUNK_HEAD + 6 * UNIT;
        // The heap begins behind a stub of 0x20 bytes.
        memory.put_words(HEADER, &[0, 0, 0, description, 0x200 << 32 | 1, 0x280]);
        memory.put_words(CHUNK, &[TABLE, 0, 0x1_0000]);
        memory.put_words(description, &[0x2b06_0004]);
        memory
    }

    #[test]
    fn the_method_around_an_address() {
        let mut memory = memory();
        let method = Method::at(START + 0x7f, &mut memory).expect("a method");
        assert_eq!(method.start, START);
        assert!(method.is_there(&mut memory));
        assert_eq!(method.owner(&mut memory), Some((TABLE, 1 << OWN_BITS | 4)));
        memory.put_words(HEADER + 24, &[0]);
        assert!(!method.is_there(&mut memory));
    }

    #[test]
    fn an_address_behind_it_is_in_no_method() {
        assert_eq!(Method::at(START + 0x80, &mut memory()), None);
        assert_eq!(Method::at(0x10, &mut memory()), None);
    }

    #[test]
    fn so_many_headers_are_looked_at() {
        let mut memory = memory();
        let length = 16 * (MAX_HEADERS as u64 + 2);
        memory.put_words(HEADER + 32, &[0x200 << 32 | 1, 0x200 + length]);
        memory.put(HEAP + PAGE, &[0x90; PAGE_WORDS * 8]);
        let pc = START + length - 1;
        let others = |count: usize| (START + 8..pc).step_by(16).take(count);
        for at in others(MAX_HEADERS - 1) {
            memory.put_words(at, &[CHUNK]);
        }
        assert!(Method::at(pc, &mut memory).is_some());
        for at in others(MAX_HEADERS) {
            memory.put_words(at, &[CHUNK]);
        }
        assert_eq!(Method::at(pc, &mut memory), None);
    }

    #[test]
    fn any_byte_of_it_may_be_anything() {
        let whole = memory();
        let is_read = |at: &u64| !(HEAP..HEAP + PAGE).contains(at) || (START - 8..START).contains(at);
        for address in whole.addresses().into_iter().filter(is_read) {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut memory = whole.clone();
                memory.put(address, &[byte]);
                let _ = Method::at(START + 8, &mut memory).and_then(|method| method.owner(&mut memory));
            }
        }
    }
}
