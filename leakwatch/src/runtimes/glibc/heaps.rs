//! Where glibc's heaps are: `[heap]`, those of the other arenas, and blocks that have a mapping of their own.

use super::{
    layout::{FLAGS, HEADER, HEAP_MAX, IS_MMAPPED, Layout},
    walk::{Region, WhichHeap},
};
use crate::{runtimes::target::Mapping, target_memory::TargetMemory};

const PAGE: u64 = 4096;
/// Offset of `heap_info.size`.
const SIZE: u64 = 16;
/// Heaps of other arenas at the most; glibc makes 8 arenas a CPU.
const MAX_HEAPS: usize = 8192;
/// Blocks with a mapping of their own at the most; glibc's own limit (`M_MMAP_MAX`) is 65,536.
const MAX_MAPPED: u64 = 65_536;

/// Memory that glibc has from the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heaps {
    /// `[heap]`, and the heaps of other arenas.
    pub(super) regions: Vec<Region>,
    /// Arenas, the main one included.
    pub(super) arenas: u64,
    /// Blocks with a mapping of their own, and their bytes.
    pub(super) mapped: u64,
    pub(super) mapped_bytes: u64,
}

/// Finds them. A heap of an arena is known by its own address, which stands in it.
pub(super) fn find(memory: &mut impl TargetMemory, mappings: &[Mapping], layout: Layout) -> Heaps {
    let mut heaps = Heaps::default();
    for mapping in mappings
        .iter()
        .filter(|mapping| mapping.readable && mapping.writable)
    {
        if mapping.name == "[heap]" {
            heaps.arenas += 1;
            heaps.regions.push(Region {
                first: mapping.start,
                end: mapping.end,
                heap: WhichHeap::Main,
            });
        } else if mapping.is_anonymous() && mapping.name.is_empty() && !heaps.arena(memory, mapping, layout) {
            heaps.blocks(memory, mapping);
        }
    }
    heaps
}

/// Where a region ends now, which its process may have changed since; `of_mapping` says it of the mapping that begins there.
pub(super) fn ends_now(
    memory: &mut impl TargetMemory,
    region: Region,
    of_mapping: impl FnOnce(u64) -> Option<u64>,
) -> Option<u64> {
    let WhichHeap::OfArena { heap } = region.heap else {
        return of_mapping(region.first);
    };
    let [size] = memory.words(heap + SIZE).ok()?;
    let is_sound = size.is_multiple_of(PAGE) && (PAGE..=HEAP_MAX).contains(&size);
    is_sound.then(|| heap + size)
}

impl Heaps {
    /// Takes the heaps of arenas in a mapping, if there are any.
    fn arena(&mut self, memory: &mut impl TargetMemory, mapping: &Mapping, layout: Layout) -> bool {
        let before = self.regions.len();
        let mut heap = mapping.start.next_multiple_of(HEAP_MAX);
        while heap < mapping.end && self.regions.len() < MAX_HEAPS {
            if let Ok([arena, previous, size, usable]) = memory.words::<4>(heap) {
                let owner = arena.wrapping_sub(layout.heap_info);
                let is_first = owner == heap && previous == 0;
                let is_later =
                    owner % HEAP_MAX == 0 && owner != heap && previous != 0 && previous % HEAP_MAX == 0;
                let is_sound = size % PAGE == 0
                    && (PAGE..=HEAP_MAX).contains(&size)
                    && (size..=HEAP_MAX).contains(&usable)
                    && heap + size <= mapping.end;
                if is_sound && (is_first || is_later) {
                    self.arenas += u64::from(is_first);
                    self.regions.push(Region {
                        first: if is_first {
                            layout.first_chunk(heap)
                        } else {
                            heap + layout.heap_info
                        },
                        end: heap + size,
                        heap: WhichHeap::OfArena { heap },
                    });
                }
            }
            heap += HEAP_MAX;
        }
        self.regions.len() > before
    }

    /// Takes the blocks that lie at the start of a mapping. The kernel joins mappings that lie side by side.
    fn blocks(&mut self, memory: &mut impl TargetMemory, mapping: &Mapping) {
        let mut at = mapping.start;
        while at < mapping.end && self.mapped < MAX_MAPPED {
            let Ok([before, header]) = memory.words::<2>(at) else {
                return;
            };
            let size = header & !FLAGS;
            let is_block = before == 0 && header & FLAGS == IS_MMAPPED && size.is_multiple_of(PAGE);
            if !is_block || size <= HEADER || size > mapping.end - at {
                return;
            }
            self.mapped += 1;
            self.mapped_bytes += size;
            at += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    #[test]
    fn arenas_blocks_and_nothing_else() {
        let layout = Layout::of("2.36").expect("known");
        let (first, later, blocks, other) = (4 * HEAP_MAX, 8 * HEAP_MAX, 9 * HEAP_MAX + PAGE, 11 * HEAP_MAX);
        let mut memory = MadeUp::default();
        memory.put_words(first, &[first + 0x30, 0, 0x2_1000, 0x2_1000]);
        memory.put_words(later, &[first + 0x30, first, 0x1000, 0x4000]);
        memory.put_words(blocks, &[0, 0x2000 | IS_MMAPPED]);
        memory.put_words(blocks + 0x2000, &[0, 0x1000 | IS_MMAPPED]);
        memory.put_words(other, &[other + 0x20, 0, 0x1000, 0x1000]);
        let mappings = [
            Mapping::anonymous(0x1000, 0x3000, "[heap]"),
            Mapping::anonymous(first, first + 0x2_1000, ""),
            Mapping::anonymous(later, later + 0x4000, ""),
            Mapping::anonymous(blocks, blocks + 0x5000, ""),
            Mapping::anonymous(other, other + 0x1000, ""),
        ];
        let heaps = find(&mut memory, &mappings, layout);
        let spans: Vec<_> = heaps
            .regions
            .iter()
            .map(|region| (region.first, region.end))
            .collect();
        assert_eq!(
            spans,
            [
                (0x1000, 0x3000),
                (first + 0x8d0, first + 0x2_1000),
                (later + 0x30, later + 0x1000)
            ]
        );
        assert_eq!((heaps.arenas, heaps.mapped, heaps.mapped_bytes), (2, 2, 0x3000));
        memory.put_words(first + SIZE, &[0x2_5000]);
        let mut now = |region| ends_now(&mut memory, region, |start| Some(start + 0x7000));
        assert_eq!(now(heaps.regions[0]), Some(0x8000));
        assert_eq!(now(heaps.regions[1]), Some(first + 0x2_5000));
    }

    #[test]
    fn heaps_that_claim_too_much_are_none() {
        let layout = Layout::of("2.36").expect("known");
        let at = 4 * HEAP_MAX;
        for words in [
            [at + 0x30, 0, 0x9000, 0x9000],
            [at + 0x30, 0, 0, 0],
            [at + 0x30, 0, u64::MAX, u64::MAX],
            [at + 0x30, 5, 0x1000, 0x1000],
            [at + 0x40, 0, 0x1000, 0x1000],
            [0, 0x2000 | IS_MMAPPED, 0, 0],
        ] {
            let mut memory = MadeUp::default();
            memory.put_words(at, &words);
            let heaps = find(&mut memory, &[Mapping::anonymous(at, at + 0x1000, "")], layout);
            assert_eq!(heaps, Heaps::default(), "{words:x?}");
        }
    }
}
