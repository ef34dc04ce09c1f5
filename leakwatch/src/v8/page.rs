//! Pages of V8's heap: chunks of 256 KiB, and longer ones for one large object each, that say themselves what they hold.

use super::metadata::Layout;
use crate::target_memory::TargetMemory;

/// A page begins at a multiple of this many bytes (`kPageSizeBits`).
pub(crate) const ALIGNMENT: u64 = 256 << 10;
/// Longest header, bytes.
const MAX_HEADER: u64 = 16 << 10;
/// Longest page.
const MAX_SIZE: u64 = 16 << 30;
/// Flags of a page of the young generation: what is copied from, and what is copied to (`MemoryChunk::Flag`).
const FROM: u64 = 1 << 3;
const TO: u64 = 1 << 4;

/// Where a page's numbers are, bytes; what the metadata does not say, and therefore known by version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageLayout {
    flags: u64,
    /// All others are behind the pointer here, and not in the page itself.
    metadata: Option<u64>,
    size: u64,
    allocated: u64,
    high_water_mark: u64,
    area_start: u64,
    area_end: u64,
    heap: u64,
    owner: u64,
}

/// `src/heap/basic-memory-chunk.h`, `src/heap/memory-chunk-metadata.h` of node 18 and 20, 22, and 24.
const LAYOUTS: &[(&[&str], PageLayout)] = &[
    (
        &["10.2.", "11.3."],
        PageLayout {
            flags: 8,
            metadata: None,
            size: 0,
            allocated: 40,
            high_water_mark: 56,
            area_start: 24,
            area_end: 32,
            heap: 16,
            owner: 64,
        },
    ),
    (
        &["12.4."],
        PageLayout {
            flags: 0,
            metadata: None,
            size: 16,
            allocated: 48,
            high_water_mark: 64,
            area_start: 32,
            area_end: 40,
            heap: 24,
            owner: 72,
        },
    ),
    (
        &["13.6."],
        PageLayout {
            flags: 0,
            metadata: Some(8),
            size: 16,
            allocated: 24,
            high_water_mark: 40,
            area_start: 72,
            area_end: 56,
            heap: 64,
            owner: 80,
        },
    ),
];

impl PageLayout {
    /// The layout of the version of V8; `None` when it is not known.
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
        let version = layout.version.as_deref()?;
        let is_it = |prefixes: &[&str]| prefixes.iter().any(|prefix| version.starts_with(prefix));
        let known = LAYOUTS.iter().find(|(prefixes, _)| is_it(prefixes));
        known.map(|(_, layout)| *layout)
    }
}

/// Whose objects a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    Old,
    /// New objects.
    Young,
    /// Where new objects were before the last collection: none are there.
    Emptied,
}

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Bytes of address space.
    pub(crate) size: u64,
    /// Bytes that are not on a list of free ones.
    pub(crate) allocated: u64,
    /// First byte of the first object.
    pub(crate) start: u64,
    /// First byte behind what was ever used for objects.
    pub(crate) end: u64,
    /// The heap that it belongs to; each isolate has one.
    pub(crate) heap: u64,
    /// The first word of the space that it belongs to: the address of that class's table of virtual functions.
    pub(crate) space: u64,
    pub(crate) generation: Generation,
}

impl Page {
    /// The page that begins at `address`; nothing when there is none.
    pub(crate) fn read<M: TargetMemory>(layout: PageLayout, address: u64, memory: &mut M) -> Option<Self> {
        let flags = memory.word(address.checked_add(layout.flags)?).ok()?;
        let header = match layout.metadata {
            Some(metadata) => memory.word(address.checked_add(metadata)?).ok()?,
            None => address,
        };
        let mut field = |offset: u64| memory.word(header.checked_add(offset)?).ok();
        let size = field(layout.size)?;
        let start = field(layout.area_start)?;
        let end = field(layout.area_end)?;
        let used = address.checked_add(field(layout.high_water_mark)?)?;
        let owner = field(layout.owner)?;
        let page = Self {
            size,
            allocated: field(layout.allocated)?.min(size),
            start,
            end: used.clamp(start, end.max(start)),
            heap: field(layout.heap)?,
            space: memory.word(owner).ok()?,
            generation: match flags & (FROM | TO) {
                0 => Generation::Old,
                FROM => Generation::Emptied,
                _ => Generation::Young,
            },
        };
        let is_sound = (1..=MAX_SIZE).contains(&size)
            && start.wrapping_sub(address) < MAX_HEADER
            && start <= end
            && end <= address.checked_add(size.next_multiple_of(4096))?
            && page.heap != 0;
        is_sound.then_some(page)
    }
}
