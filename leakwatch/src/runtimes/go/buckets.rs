//! What the heap profile of the runtime itself holds: for each stack that allocates, and each size, how many objects were
//! sampled and how many of them were freed. `memProfileInternal` of `mprof.go` reads it in the same way.

use std::{collections::HashSet, io};

use super::layout::Layout;
use crate::runtimes::Unknown;

/// Buckets that are read at the most. A large server has a few thousand.
const MAX_BUCKETS: usize = 100_000;
/// `maxProfStackDepth`.
const MAX_DEPTH: u64 = 1024;
/// `memProfile` of `bucketType`: the other two are of locks.
const MEMORY: u64 = 1;
/// Words of a bucket before its stack: next, allnext, typ, hash, size, nstk.
pub(super) const HEADER_WORDS: usize = 6;
/// Cycles of collection that are not published yet.
const UNPUBLISHED: u64 = 3;
/// Largest object that is believed, bytes.
const MAX_SIZE: u64 = 1 << 46;

/// Sampled objects of one size that one stack allocated and that were not freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Of one object, bytes.
    pub(super) size: u64,
    pub(super) live: u64,
    /// Return addresses, innermost first.
    pub(super) stack: Vec<u64>,
}

/// What is live in every bucket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    pub(super) live: Vec<Bucket>,
    /// Whether there are more than are read.
    pub(super) is_cut: bool,
}

struct Record {
    bucket: Bucket,
    active: [u64; 2],
    unpublished: [u64; 2],
}

/// Whether the six words at the beginning of a bucket can be those of one that counts memory.
pub(super) fn is_header(header: [u64; HEADER_WORDS]) -> bool {
    let [next, all_next, kind, _, size, depth] = header;
    let may_point = |address: u64| address.is_multiple_of(8);
    may_point(next)
        && may_point(all_next)
        && kind == MEMORY
        && (1..MAX_SIZE).contains(&size)
        && (1..=MAX_DEPTH).contains(&depth)
}

/// Follows the list from its first bucket. `word` reads 8 bytes at an address.
///
/// # Errors
/// When something in it is no bucket.
pub(super) fn read(
    first: u64,
    layout: &Layout,
    is_code: impl Fn(u64) -> bool,
    mut word: impl FnMut(u64) -> io::Result<u64>,
) -> Result<Buckets, Unknown> {
    let mut records = Vec::new();
    let mut seen = HashSet::new();
    let mut at = first;
    while at != 0 && records.len() < MAX_BUCKETS {
        if !seen.insert(at) {
            return Err(Unknown::Layout("its list of allocation sites is a circle"));
        }
        let (record, next) = record(at, layout, &is_code, &mut word)?;
        records.push(record);
        at = next;
    }
    // Before the first collection nothing is published; then what is known so far is taken, as the runtime does.
    let is_fresh = records.iter().all(|record| record.active == [0, 0]);
    let live = records.into_iter().filter_map(|record| {
        let [active, unpublished] = [record.active, record.unpublished];
        let [allocated, freed] = if is_fresh { unpublished } else { active };
        // It may be changed between the two.
        let live = allocated.saturating_sub(freed);
        (live > 0).then_some(Bucket {
            live,
            ..record.bucket
        })
    });
    Ok(Buckets {
        live: live.collect(),
        is_cut: at != 0,
    })
}

fn record(
    at: u64,
    layout: &Layout,
    is_code: impl Fn(u64) -> bool,
    word: &mut impl FnMut(u64) -> io::Result<u64>,
) -> Result<(Record, u64), Unknown> {
    let mut nth = |index: u64| word(at.wrapping_add(index.wrapping_mul(8)));
    let mut header = [0; HEADER_WORDS];
    for (index, slot) in (0..).zip(&mut header) {
        *slot = nth(index)?;
    }
    if !is_header(header) {
        return Err(Unknown::Layout(
            "something in its list of allocation sites is none",
        ));
    }
    let [_, next, _, _, size, depth] = header;
    let stack_at = HEADER_WORDS as u64;
    let stack = (0..depth).map(|index| nth(stack_at + index));
    let stack: Vec<u64> = stack.collect::<io::Result<_>>()?;
    if !stack.iter().all(|&address| is_code(address)) {
        return Err(Unknown::Layout("a stack that allocates is not in its code"));
    }
    let mut cycle = |index: u64| {
        let at = stack_at + depth + index * layout.cycle_words;
        Ok::<_, io::Error>([nth(at)?, nth(at + 1)?])
    };
    let active = cycle(0)?;
    let mut unpublished = [0_u64; 2];
    for index in 1..=UNPUBLISHED {
        let [allocated, freed] = cycle(index)?;
        unpublished = [
            unpublished[0].saturating_add(allocated),
            unpublished[1].saturating_add(freed),
        ];
    }
    let bucket = Bucket { size, live: 0, stack };
    let record = Record {
        bucket,
        active,
        unpublished,
    };
    Ok((record, next))
}

/// How many objects one sample stands for: `scaleHeapSample` of `runtime/pprof`. One is taken every `rate` bytes, at random.
pub(super) fn weight(size: u64, rate: u64) -> f64 {
    if rate <= 1 {
        return 1.0;
    }
    1.0 / -(-(size as f64) / rate as f64).exp_m1()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Buckets one after the other: (address, next, size, stack, [allocs, frees] of the active cycle and the three others).
    type Made<'a> = (u64, u64, u64, &'a [u64], [[u64; 2]; 4]);

    fn memory(buckets: &[Made], layout: &Layout) -> HashMap<u64, u64> {
        let mut memory = HashMap::new();
        for &(at, next, size, stack, cycles) in buckets {
            let mut words = vec![0, next, MEMORY, 77, size, stack.len() as u64];
            words.extend(stack);
            for [allocated, freed] in cycles {
                words.extend([allocated, freed]);
                words.extend((2..layout.cycle_words).map(|_| 1_000_000));
            }
            memory.extend((at..).step_by(8).zip(words));
        }
        memory
    }

    fn read_from(memory: &HashMap<u64, u64>, layout: &Layout) -> Result<Buckets, Unknown> {
        let word = |address| {
            memory
                .get(&address)
                .copied()
                .ok_or(io::ErrorKind::NotFound.into())
        };
        read(0x1000, layout, |address| (1..100).contains(&address), word)
    }

    const PUBLISHED: [[u64; 2]; 4] = [[10, 4], [3, 0], [0, 0], [7, 7]];
    const FRESH: [[u64; 2]; 4] = [[0, 0], [3, 1], [0, 0], [7, 0]];

    #[test]
    fn what_is_live_by_stack_and_size() {
        for version in ["go1.19", "go1.27"] {
            let layout = Layout::of(version).expect("known");
            let made = memory(
                &[
                    (0x1000, 0x2000, 64, &[1, 2], PUBLISHED),
                    (0x2000, 0x3000, 32, &[3], [[5, 5], [0, 0], [9, 0], [0, 0]]),
                    (0x3000, 0, 8, &[4], [[2, 3], [0, 0], [0, 0], [0, 0]]),
                ],
                layout,
            );
            let buckets = read_from(&made, layout).expect("whole");
            let stack = vec![1, 2];
            assert_eq!(
                buckets.live,
                [Bucket {
                    size: 64,
                    live: 6,
                    stack
                }],
                "{version}"
            );
            assert!(!buckets.is_cut);
            let fresh = memory(&[(0x1000, 0, 64, &[1], FRESH)], layout);
            assert_eq!(read_from(&fresh, layout).expect("whole").live[0].live, 9);
        }
    }

    #[test]
    fn broken_lists() {
        let layout = Layout::of("go1.26").expect("known");
        let broken: [&[Made]; 5] = [
            &[
                (0x1000, 0x2000, 8, &[1], PUBLISHED),
                (0x2000, 0x1000, 8, &[1], PUBLISHED),
            ],
            &[(0x1000, 0x2000, 8, &[1], PUBLISHED)],
            &[(0x1000, 0, 0, &[1], PUBLISHED)],
            &[(0x1000, 0, 8, &[], PUBLISHED)],
            &[(0x1000, 0, 8, &[1, 200], PUBLISHED)],
        ];
        for buckets in broken {
            read_from(&memory(buckets, layout), layout).expect_err("broken");
        }
        let mut of_locks = memory(&[(0x1000, 0, 8, &[1], PUBLISHED)], layout);
        of_locks.insert(0x1010, 2);
        read_from(&of_locks, layout).expect_err("the list of contended locks");
    }

    #[test]
    fn samples_stand_for_what_was_not_sampled() {
        let rate = 512 << 10;
        assert!((weight(rate, 1) - 1.0).abs() < 1e-9);
        assert!(
            (weight(10 * rate, rate) - 1.0).abs() < 1e-4,
            "large objects are all sampled"
        );
        assert!((weight(64, rate) - 8192.5).abs() < 0.5);
    }

    proptest! {
        #[test]
        fn nonsense_ends(words in prop::collection::vec(0..40_u64, 1..60)) {
            let layout = Layout::of("go1.26").expect("known");
            let word = |address: u64| {
                let index = usize::try_from(address).unwrap_or(0) % words.len();
                Ok(words[index])
            };
            let _ = read(8, layout, |_| true, word);
        }
    }
}
