//! How `malloc/malloc.c` and `malloc/arena.c` of glibc lay a heap out on 64-bit machines.

use std::ops::RangeInclusive;

/// Every chunk is a multiple of this, and lies at one.
pub(super) const ALIGNMENT: u64 = 16;
/// `CHUNK_HDR_SZ`: size of the chunk before, if that one is free, and its own size with flags.
pub(super) const HEADER: u64 = 16;
/// `MINSIZE`.
pub(super) const SMALLEST: u64 = 32;
/// Flags in the low bits of a size.
pub(super) const PREV_INUSE: u64 = 1;
pub(super) const IS_MMAPPED: u64 = 2;
pub(super) const FLAGS: u64 = 7;
/// `HEAP_MAX_SIZE`: heaps of arenas other than the main one lie at multiples of this, and are no longer.
pub(super) const HEAP_MAX: u64 = 64 << 20;

/// What differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `sizeof(heap_info)`.
    pub(super) heap_info: u64,
    /// `sizeof(struct malloc_state)`.
    pub(super) arena: u64,
}

/// By minor version, all of glibc 2. `pagesize` came into `heap_info` with 2.35, `have_fastchunks` into `malloc_state` with 2.27.
const LAYOUTS: &[(RangeInclusive<u32>, Layout)] = &[
    (
        23..=26,
        Layout {
            heap_info: 0x20,
            arena: 0x890,
        },
    ),
    (
        27..=34,
        Layout {
            heap_info: 0x20,
            arena: 0x898,
        },
    ),
    (
        35..=41,
        Layout {
            heap_info: 0x30,
            arena: 0x898,
        },
    ),
];

impl Layout {
    /// That of a version as glibc says it, `2.36`.
    pub(super) fn of(version: &str) -> Option<Self> {
        let minor = version.strip_prefix("2.")?.split('.').next()?.parse().ok()?;
        LAYOUTS
            .iter()
            .find(|(minors, _)| minors.contains(&minor))
            .map(|(_, layout)| *layout)
    }

    /// Where the first chunk of an arena's first heap is, which holds the arena itself.
    pub(super) fn first_chunk(&self, heap: u64) -> u64 {
        (heap + self.heap_info + self.arena).next_multiple_of(ALIGNMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn versions() {
        // Seen in a process on Debian 12.
        assert_eq!(
            Layout::of("2.36").map(|layout| layout.first_chunk(0)),
            Some(0x8d0)
        );
        assert_eq!(
            Layout::of("2.31").map(|layout| layout.first_chunk(0)),
            Some(0x8c0)
        );
        for unknown in ["2.99", "3.1", "2", "2.x", ""] {
            assert_eq!(Layout::of(unknown), None);
        }
    }
}
