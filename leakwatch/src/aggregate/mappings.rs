//! Which anonymous mappings of one process are live, and which sampled call took each.
//!
//! A kernel map cannot hold this: `munmap` may cut a hole into a mapping, or cover many, and a hash has no neighbours.
//! See docs/design/0002-mappings-in-user-space.md.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use leakwatch_common::stack::NO_SAMPLE;

/// Ranges kept in all processes together; 48 bytes each. Processes that start mapping beyond that are not followed.
pub const MAX_RANGES: usize = 200_000;
/// Ranges kept in one process.
const MAX_RANGES_PER_PROCESS: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    len: u64,
    sample: u32,
}

/// Live ranges, disjoint.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    ranges: BTreeMap<u64, Range>,
    /// Ranges of each sample.
    pieces: HashMap<u32, u32>,
    /// Samples of which no range is left since somebody asked.
    gone: Vec<u32>,
}

impl Mappings {
    /// Ranges kept.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Forgets everything: what happens to it from now on is not known any more.
    pub fn forget(&mut self) {
        self.ranges.clear();
        self.pieces.clear();
        self.gone.clear();
    }

    /// The sampled call `sample`, or [`NO_SAMPLE`], mapped `len` bytes at `addr`, over whatever was there.
    pub fn map(&mut self, addr: u64, len: u64, sample: u32) {
        self.unmap(addr, len);
        if len == 0 {
            return;
        }
        if self.ranges.len() < MAX_RANGES_PER_PROCESS {
            self.insert(addr, Range { len, sample });
        } else {
            // It is not followed, so nobody would say when it ends.
            self.gone.push(sample);
        }
    }

    /// `len` bytes at `addr` are gone: all or part of any number of mappings.
    pub fn unmap(&mut self, addr: u64, len: u64) {
        self.take(addr, len);
    }

    /// The mapping `old` (address, bytes) is now at `new`; what it grew by was taken by `sample`.
    pub fn remap(&mut self, old: (u64, u64), new: (u64, u64), sample: u32) {
        let moved = self.take(old.0, old.1);
        if moved.is_empty() {
            // Not one of ours: a file mapping, or one whose birth was not seen.
            self.unmap(new.0, new.1);
            return;
        }
        self.unmap(new.0, new.1);
        for (addr, range) in moved {
            let at = addr - old.0;
            if at < new.1 {
                self.insert(
                    new.0 + at,
                    Range {
                        len: range.len.min(new.1 - at),
                        ..range
                    },
                );
            }
        }
        if new.1 > old.1 {
            self.map(new.0 + old.1, new.1 - old.1, sample);
        }
    }

    /// Live mappings and their bytes.
    pub fn total(&self) -> (u64, u64) {
        let bytes = self.ranges.values().map(|range| range.len).sum();
        (self.ranges.len() as u64, bytes)
    }

    /// Live mappings and bytes by sample.
    pub fn by_sample(&self) -> HashMap<u32, (u64, u64)> {
        let mut samples: HashMap<u32, (u64, u64)> = HashMap::new();
        for range in self.ranges.values() {
            let (count, bytes) = samples.entry(range.sample).or_default();
            *count += 1;
            *bytes += range.len;
        }
        samples
    }

    /// Samples of which nothing is left since the last call.
    pub fn take_gone(&mut self) -> Vec<u32> {
        let mut gone = std::mem::take(&mut self.gone);
        // What moved was away for a moment.
        gone.retain(|sample| !self.pieces.contains_key(sample));
        gone
    }

    fn insert(&mut self, addr: u64, range: Range) {
        if range.sample != NO_SAMPLE {
            *self.pieces.entry(range.sample).or_default() += 1;
        }
        self.ranges.insert(addr, range);
    }

    fn remove(&mut self, addr: u64) {
        if let Some(range) = self.ranges.remove(&addr)
            && let Entry::Occupied(mut pieces) = self.pieces.entry(range.sample)
        {
            *pieces.get_mut() -= 1;
            if *pieces.get() == 0 {
                pieces.remove();
                self.gone.push(range.sample);
            }
        }
    }

    /// Cuts `len` bytes at `addr` out and returns the pieces.
    fn take(&mut self, addr: u64, len: u64) -> Vec<(u64, Range)> {
        let end = addr.saturating_add(len);
        let mut taken = Vec::new();
        if len == 0 {
            return taken;
        }
        // From the last range on that starts before `addr`.
        let first = self
            .ranges
            .range(..addr)
            .next_back()
            .map_or(addr, |(&start, _)| start);
        let touched: Vec<(u64, Range)> = self
            .ranges
            .range(first..end)
            .map(|(&start, &range)| (start, range))
            .collect();
        for (start, range) in touched {
            let stop = start + range.len;
            if stop <= addr {
                continue;
            }
            self.remove(start);
            if start < addr {
                self.insert(
                    start,
                    Range {
                        len: addr - start,
                        ..range
                    },
                );
            }
            if stop > end {
                self.insert(
                    end,
                    Range {
                        len: stop - end,
                        ..range
                    },
                );
            }
            let (from, to) = (start.max(addr), stop.min(end));
            taken.push((
                from,
                Range {
                    len: to - from,
                    ..range
                },
            ));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

    use super::*;

    const PAGES: usize = 64;

    #[derive(Clone, Debug)]
    enum Step {
        Map(u64, u64, u32),
        Unmap(u64, u64),
        Remap(u64, u64, u64, u64, u32),
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        let page = || 0..PAGES as u64 / 2;
        prop_oneof![
            8 => (page(), page(), any::<u32>()).prop_map(|(at, len, site)| Step::Map(at, len, site)),
            8 => (page(), page()).prop_map(|(at, len)| Step::Unmap(at, len)),
            4 => (page(), page(), page(), page(), any::<u32>())
                .prop_map(|(old, len, new, new_len, site)| Step::Remap(old, len, new, new_len, site)),
            1 => Just(Step::Forget),
        ]
    }

    fn index(page: u64) -> usize {
        usize::try_from(page).unwrap()
    }

    fn range(at: u64, len: u64) -> std::ops::Range<usize> {
        index(at)..index(at + len)
    }

    proptest! {
        /// Against a page table: one owner or none for each page.
        #[test]
        fn agrees_with_a_page_table(steps in prop::collection::vec(step(), 0..60)) {
            let mut mappings = Mappings::default();
            let mut pages: [Option<u32>; PAGES] = [None; PAGES];
            for step in steps {
                match step {
                    Step::Map(at, len, site) => {
                        mappings.map(at, len, site);
                        pages[range(at, len)].fill(Some(site));
                    }
                    Step::Unmap(at, len) => {
                        mappings.unmap(at, len);
                        pages[range(at, len)].fill(None);
                    }
                    Step::Remap(old, len, new, new_len, site) => {
                        // The kernel refuses overlapping ranges.
                        if old < new + new_len && new < old + len {
                            continue;
                        }
                        mappings.remap((old, len), (new, new_len), site);
                        let moved: Vec<_> = pages[range(old, len)].to_vec();
                        pages[range(old, len)].fill(None);
                        pages[range(new, new_len)].fill(None);
                        if moved.iter().any(Option::is_some) {
                            for (at, owner) in moved.iter().take(index(new_len)).enumerate() {
                                pages[index(new) + at] = *owner;
                            }
                            for at in len..new_len {
                                pages[index(new + at)] = Some(site);
                            }
                        }
                    }
                    Step::Forget => {
                        mappings.forget();
                        pages.fill(None);
                    }
                }
                let mut expected: HashMap<u32, u64> = HashMap::new();
                for site in pages.iter().flatten() {
                    *expected.entry(*site).or_default() += 1;
                }
                let found: HashMap<u32, u64> =
                    mappings.by_sample().into_iter().map(|(site, (_, bytes))| (site, bytes)).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
