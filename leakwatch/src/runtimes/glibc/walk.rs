//! From chunk to chunk through one heap, while the process goes on allocating in it.
//!
//! What is read together is held against glibc's own invariants before it counts; what contradicts them is read again,
//! because the process may have split or joined chunks in between.

use std::io;

use super::layout::{ALIGNMENT, FLAGS, HEADER, IS_MMAPPED, PREV_INUSE, SMALLEST};
use crate::target_memory::TargetMemory;

/// Bytes that are read together.
const WINDOW: u64 = 64 << 10;
/// How often a window is read again before the heap is called broken.
const TRIES: u32 = 8;
/// How often a heap is found to end elsewhere by now, in one place: what grows while it is walked is caught up with.
const MAX_MOVES: u32 = 16;
/// Fenceposts that follow one another: two where the main heap goes on elsewhere.
const MAX_FENCEPOSTS: u32 = 2;

/// A piece of memory that is full of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// The first chunk.
    pub(super) first: u64,
    /// Behind the last one.
    pub(super) end: u64,
    /// Which heap it is, by how to ask where it ends.
    pub(super) heap: WhichHeap,
}

/// Heaps grow in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhichHeap {
    /// `[heap]`, with the program break.
    Main,
    /// One of another arena, which says itself how long it is.
    OfArena {
        /// Where it begins, with its `heap_info`.
        heap: u64,
    },
}

/// A chunk that is no fencepost and not the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Bytes, with its header.
    pub(super) size: u64,
    /// Given out; those that wait in a thread's cache or a fastbin look the same.
    pub(super) in_use: bool,
    /// The first word of what its owner sees.
    pub(super) first_word: u64,
}

/// Why a walk ended before the end.
#[derive(Debug)]
pub(super) enum Broken {
    /// No chunk is like this.
    Chunk,
    Unreadable(io::Error),
}

/// How a heap ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Size of the last chunk, out of which others are made; 0 in a heap that its arena has left behind.
    pub(super) top: u64,
    /// Bytes behind a fencepost that somebody else has taken from the kernel.
    pub(super) foreign: u64,
}

/// Gives every chunk of `region` to `chunk`, once. `ends_now` says where it ends by now, when it did not where it should.
pub(super) fn walk<M: TargetMemory>(
    memory: &mut M,
    region: Region,
    mut ends_now: impl FnMut(&mut M) -> Option<u64>,
    mut chunk: impl FnMut(Chunk),
) -> Result<Ended, Broken> {
    let mut end = region.end;
    let mut buffer = Vec::new();
    let mut place = Place {
        at: region.first,
        before: None,
        fenceposts: 0,
    };
    let mut chunks = Vec::new();
    loop {
        let (mut tries, mut moves) = (0, 0);
        let step = loop {
            let left = end - place.at;
            let length = left.min(WINDOW);
            buffer.resize(usize::try_from(length).unwrap_or(0), 0);
            chunks.clear();
            tries += 1;
            let read = memory.read(place.at, &mut buffer).map_err(Broken::Unreadable);
            match read.and_then(|()| place.through(&buffer, end, &mut chunks)) {
                Err(broken) => {
                    let may_have_moved =
                        left <= WINDOW || tries == TRIES || matches!(broken, Broken::Unreadable(_));
                    let now = may_have_moved.then(|| ends_now(memory)).flatten();
                    let moved = now.filter(|&now| now != end && now > place.at);
                    if let Some(now) = moved.filter(|_| moves < MAX_MOVES) {
                        (end, moves, tries) = (now, moves + 1, 0);
                    } else if tries == TRIES {
                        return Err(broken);
                    }
                }
                Ok(step) => break step,
            }
        };
        chunks.drain(..).for_each(&mut chunk);
        match step {
            Step::On(next) => place = next,
            Step::End(ended) => return Ok(ended),
        }
    }
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The next chunk.
    at: u64,
    /// The one before it, of which it says whether that is in use.
    before: Option<Before>,
    /// That lie directly before it.
    fenceposts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    size: u64,
    first_word: u64,
}

enum Step {
    On(Place),
    End(Ended),
}

impl Place {
    /// Through those chunks whose beginning lies in `window`, which begins here.
    fn through(mut self, window: &[u8], end: u64, chunks: &mut Vec<Chunk>) -> Result<Step, Broken> {
        let start = self.at;
        let word = |at: u64| {
            let at = usize::try_from(at - start).ok()?;
            window
                .get(at..)?
                .first_chunk()
                .map(|word| u64::from_le_bytes(*word))
        };
        loop {
            let (Some(before_size), Some(header)) = (word(self.at), word(self.at + 8)) else {
                return if self.at > start {
                    Ok(Step::On(self))
                } else {
                    Err(Broken::Chunk)
                };
            };
            let size = header & !FLAGS;
            // Before anything is counted: the rest of this chunk's beginning may lie in the next window.
            let is_last = size == end - self.at;
            let first_word = word(self.at + HEADER);
            if first_word.is_none() && size >= SMALLEST && !is_last && self.at > start {
                return Ok(Step::On(self));
            }
            if header & IS_MMAPPED != 0 || !size.is_multiple_of(ALIGNMENT) {
                return Err(Broken::Chunk);
            }
            if let Some(before) = self.before.take() {
                let in_use = header & PREV_INUSE != 0;
                if !in_use && before_size != before.size {
                    return Err(Broken::Chunk);
                }
                chunks.push(Chunk {
                    size: before.size,
                    in_use,
                    first_word: before.first_word,
                });
            }
            if size == 0 && self.fenceposts > 0 && end - self.at == HEADER {
                return Ok(Step::End(Ended::default()));
            }
            if size == HEADER && self.fenceposts < MAX_FENCEPOSTS {
                self.fenceposts += 1;
                self.at += HEADER;
                if self.fenceposts == MAX_FENCEPOSTS {
                    return Ok(Step::End(Ended {
                        top: 0,
                        foreign: end.saturating_sub(self.at),
                    }));
                }
                continue;
            }
            if size < SMALLEST || self.fenceposts > 0 || size > end - self.at {
                return Err(Broken::Chunk);
            }
            if is_last {
                return Ok(Step::End(Ended {
                    top: size,
                    foreign: 0,
                }));
            }
            self.before = Some(Before {
                size,
                first_word: first_word.ok_or(Broken::Chunk)?,
            });
            self.at += size;
            if end - self.at < HEADER {
                return Err(Broken::Chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const BASE: u64 = 0x5555_0000_0000;

    /// A heap of these chunks (size, in use) and a top.
    fn heap(chunks: &[(u64, bool)], top: u64) -> (MadeUp, Region) {
        let total: u64 = chunks.iter().map(|(size, _)| size).sum::<u64>() + top;
        let mut memory = MadeUp::default();
        memory.put(BASE, &vec![0; usize::try_from(total).unwrap()]);
        let (mut at, mut before) = (BASE, (0, true));
        for &(size, in_use) in chunks.iter().chain([&(top, true)]) {
            memory.put_words(at, &[before.0, size | u64::from(before.1), 0xabc]);
            before = (if in_use { 0 } else { size }, in_use);
            at += size;
        }
        let region = Region {
            first: BASE,
            end: BASE + total,
            heap: WhichHeap::Main,
        };
        (memory, region)
    }

    fn sums(memory: &mut MadeUp, region: Region) -> Result<([u64; 2], Ended), Broken> {
        sums_until(memory, region, None)
    }

    fn sums_until(
        memory: &mut MadeUp,
        region: Region,
        ends_now: Option<u64>,
    ) -> Result<([u64; 2], Ended), Broken> {
        let mut bytes = [0, 0];
        let ends_now = |_: &mut MadeUp| ends_now;
        let ended = walk(memory, region, ends_now, |chunk| {
            bytes[usize::from(chunk.in_use)] += chunk.size;
        })?;
        Ok((bytes, ended))
    }

    #[test]
    fn used_and_free_are_told_apart() {
        let (mut memory, region) = heap(&[(48, true), (96, false), (32, true), (80_000, true)], 4096);
        let (bytes, ended) = sums(&mut memory, region).expect("whole");
        assert_eq!(bytes, [96, 48 + 32 + 80_000]);
        assert_eq!(
            ended,
            Ended {
                top: 4096,
                foreign: 0
            }
        );
    }

    #[test]
    fn what_grows_or_shrinks_meanwhile_is_walked_to_its_new_end() {
        let (mut memory, region) = heap(&[(48, true), (80_000, true), (4_000, false), (64, true)], 4_096);
        let whole = sums(&mut memory, region).expect("whole");
        for before in [region.end - 8_000, region.end - 4_096 - 16, region.end + 8_192] {
            let then = Region {
                end: before,
                ..region
            };
            assert!(sums(&mut memory, then).is_err(), "{before:#x}");
            let caught_up = sums_until(&mut memory, then, Some(region.end)).expect("caught up");
            assert_eq!(caught_up, whole);
        }
    }

    #[test]
    fn a_heap_that_its_arena_left_ends_at_a_fencepost() {
        let (mut memory, mut region) = heap(&[(64, true), (128, false)], 32);
        let top = region.end - 32;
        memory.put_words(top, &[128, 16, 0, 1]);
        let whole = sums(&mut memory, region).expect("whole");
        assert_eq!(whole, ([128, 64], Ended::default()));
        memory.put_words(top, &[128, 16, 0, 17]);
        memory.put(region.end, &[0xee; 4096]);
        region.end += 4096;
        let ended = sums(&mut memory, region).expect("as far as it goes").1;
        assert_eq!(ended.foreign, 4096);
    }

    #[test]
    fn broken_heaps_end_the_walk() {
        let chunks = [(64, true); 20];
        for broken in [0, 1, 8, 24, 0x1001 | IS_MMAPPED, u64::MAX, !FLAGS, 1 << 63] {
            for at in 0..20 {
                let (mut memory, region) = heap(&chunks, 64);
                memory.put_words(BASE + at * 64 + 8, &[broken]);
                assert!(sums(&mut memory, region).is_err(), "{broken:#x} at {at}");
            }
        }
        let (mut memory, mut region) = heap(&chunks, 64);
        region.end += 16;
        assert!(matches!(sums(&mut memory, region), Err(Broken::Unreadable(_))));
        region.end -= 48;
        assert!(matches!(sums(&mut memory, region), Err(Broken::Chunk)));
    }

    proptest! {
        #[test]
        fn no_memory_makes_it_panic_or_run_on(words in prop::collection::vec(
            prop_oneof![Just(0), Just(17), Just(33), Just(1), any::<u64>(), (0_u64..64).prop_map(|n| n * 16 + 1)], 2..200,
        )) {
            let mut memory = MadeUp::default();
            memory.put_words(BASE, &words);
            let region = Region { first: BASE, end: BASE + words.len() as u64 * 8, heap: WhichHeap::Main };
            let mut chunks = 0;
            let _ = walk(&mut memory, region, |_| None, |_| chunks += 1);
            prop_assert!(chunks <= words.len());
        }
    }
}
