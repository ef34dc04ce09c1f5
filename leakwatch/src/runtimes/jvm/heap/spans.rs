//! Where the objects of a heap lie: regions of G1, spaces of Serial and Parallel.

use super::super::{
    super::{Unknown, memory::Memory},
    flags::Flags,
};
use crate::hotspot::vm_structs::VmStructs;

/// More regions than G1 makes; it aims at 2,048.
const MAX_REGIONS: u64 = 1 << 17;
/// Regions that are read together.
const TOGETHER: usize = 512;
/// Bytes of a `HeapRegion` that its bounds and its kind may lie in.
const MAX_HEADER: usize = 1024;
/// Bytes that no region is longer than (`HeapRegionBounds::MAX_REGION_SIZE`), and no space of Serial and Parallel.
const MAX_REGION: u64 = 512 << 20;
const MAX_SPACE: u64 = 1 << 40;
/// Spaces are cut into so many bytes, so that some can be read instead of all.
pub(super) const CHUNK: u64 = 4 << 20;

/// A stretch of memory with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    /// No object that is counted here starts at or after this address.
    pub(super) end: u64,
    /// No object that starts here reaches beyond this address.
    pub(super) limit: u64,
    /// An object begins where it starts.
    pub(super) is_aligned: bool,
    /// A collection of the young generation empties it.
    pub(super) is_young: bool,
    /// It is one big object, so that its first page says all.
    pub(super) is_humongous: bool,
    /// What kind of region it was, and where that is.
    pub(super) tag: Option<(u64, u32)>,
}

/// Every span of this heap, as it is now.
///
/// # Errors
/// When the collector is none that is known, or the JVM does not say where they are.
pub(super) fn spans(
    structs: &VmStructs,
    flags: &Flags,
    heap: u64,
    memory: &mut Memory,
) -> Result<Vec<Span>, Unknown> {
    let collectors = [
        (
            flags.z,
            "ZGC's heap cannot be read from outside: the addresses in it have colours",
        ),
        (
            flags.shenandoah,
            "Shenandoah's heap cannot be read from outside: objects move at any time",
        ),
        (flags.epsilon, "Epsilon's heap is not known to leakwatch"),
        (
            flags.compact_object_headers,
            "compact object headers are not known to leakwatch",
        ),
    ];
    if let Some((_, why)) = collectors.iter().find(|(is_on, _)| *is_on) {
        return Err(Unknown::NotKept(why));
    }
    match (flags.g1, flags.parallel, flags.serial) {
        (true, false, false) => regions(structs, heap, memory),
        (false, true, false) => parallel(structs, memory),
        (false, false, true) => serial(structs, heap, memory),
        _ => Err(Unknown::NotKept("its collector is not known to leakwatch")),
    }
}

/// G1's (`g1HeapRegion.hpp`, `g1HeapRegionManager.hpp`).
fn regions(structs: &VmStructs, heap: u64, memory: &mut Memory) -> Result<Vec<Span>, Unknown> {
    let field = |name| structs.offset(&[("HeapRegion", name), ("G1HeapRegion", name), ("Space", name)]);
    let bottom = field("_bottom")?;
    let end = field("_end")?;
    let top = structs.offset(&[
        ("HeapRegion", "_top"),
        ("G1HeapRegion", "_top"),
        ("G1ContiguousSpace", "_top"),
    ])?;
    let tag =
        field("_type")? + structs.offset(&[("HeapRegionType", "_tag"), ("G1HeapRegionType", "_tag")])?;
    let constant = |old, new| structs.constant(&[old, new]).map(i32::cast_unsigned);
    let free = constant("HeapRegionType::FreeTag", "G1HeapRegionType::FreeTag")?;
    let young = constant("HeapRegionType::YoungMask", "G1HeapRegionType::YoungMask")?;
    let humongous = constant(
        "HeapRegionType::StartsHumongousTag",
        "G1HeapRegionType::StartsHumongousTag",
    )?;
    let continues = constant(
        "HeapRegionType::ContinuesHumongousTag",
        "G1HeapRegionType::ContinuesHumongousTag",
    )?;
    let manager = structs.offset(&[("G1CollectedHeap", "_hrm")])?;
    let table = heap
        + manager
        + structs.offset(&[
            ("HeapRegionManager", "_regions"),
            ("G1HeapRegionManager", "_regions"),
        ])?;
    let base = memory.value::<u64>(table + structs.offset(&[("G1HeapRegionTable", "_base")])?)?;
    let length = memory.value::<u64>(table + structs.offset(&[("G1HeapRegionTable", "_length")])?)?;
    if length > MAX_REGIONS || base.checked_add(MAX_REGIONS * 8).is_none() {
        return Err(Unknown::Layout("a wrong number of regions"));
    }
    let mut pointers = vec![0; usize::try_from(length * 8).unwrap_or(0)];
    memory.read(base, &mut pointers)?;
    let regions = pointers
        .chunks_exact(8)
        .filter_map(|pointer| pointer.first_chunk());
    let regions: Vec<u64> = regions
        .map(|pointer| u64::from_le_bytes(*pointer))
        .filter(|&region| region != 0 && region < 1 << 56)
        .collect();
    let size = [bottom, end, top, tag].into_iter().max().unwrap_or(0) + 8;
    let size = usize::try_from(size).unwrap_or(0);
    if size > MAX_HEADER {
        return Err(Unknown::Layout("a region is longer than one can be"));
    }
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for regions in regions.chunks(TOGETHER) {
        memory.scattered(regions, size, &mut bytes);
        let described = regions.iter().zip(bytes.chunks_exact(size));
        spans.extend(described.filter_map(|(&region, bytes)| {
            let word = |at: u64| {
                let bytes = bytes.get(usize::try_from(at).ok()?..)?;
                Some(u64::from_le_bytes(*bytes.first_chunk()?))
            };
            let (start, top, end) = (word(bottom)?, word(top)?, word(end)?);
            let kind = u32::from_le_bytes(*bytes.get(usize::try_from(tag).ok()?..)?.first_chunk()?);
            let is_humongous = kind == humongous;
            let is_there = start < top && top <= end && start.is_multiple_of(8);
            let is_there = is_there && top - start <= MAX_REGION && end < 1 << 56;
            (is_there && kind != free && kind != continues).then_some(Span {
                start,
                end: if is_humongous { start + 8 } else { top },
                limit: if is_humongous { u64::MAX } else { top },
                is_aligned: true,
                is_young: kind & young != 0,
                is_humongous,
                tag: Some((region + tag, kind)),
            })
        }));
    }
    Ok(spans)
}

/// Parallel's (`psYoungGen.hpp`, `psOldGen.hpp`).
fn parallel(structs: &VmStructs, memory: &mut Memory) -> Result<Vec<Span>, Unknown> {
    let mut generation = |name| {
        let address = structs.address(&[("ParallelScavengeHeap", name)])?;
        Ok::<_, Unknown>(memory.value::<u64>(address)?)
    };
    let young = generation("_young_gen")?;
    let old = generation("_old_gen")?;
    let field = |name| structs.offset(&[("MutableSpace", name), ("ImmutableSpace", name)]);
    let layout = (field("_bottom")?, field("_top")?, field("_end")?);
    let spaces = [
        (young, structs.offset(&[("PSYoungGen", "_eden_space")])?, true),
        (young, structs.offset(&[("PSYoungGen", "_from_space")])?, true),
        (young, structs.offset(&[("PSYoungGen", "_to_space")])?, true),
        (old, structs.offset(&[("PSOldGen", "_object_space")])?, false),
    ];
    spaces_of(&spaces, layout, memory)
}

/// Serial's (`defNewGeneration.hpp`, `tenuredGeneration.hpp`).
fn serial(structs: &VmStructs, heap: u64, memory: &mut Memory) -> Result<Vec<Span>, Unknown> {
    let mut generation = |name| {
        let offset = structs.offset(&[("SerialHeap", name), ("GenCollectedHeap", name)])?;
        Ok::<_, Unknown>(memory.value::<u64>(heap + offset)?)
    };
    let young = generation("_young_gen")?;
    let old = generation("_old_gen")?;
    let field = |name| structs.offset(&[("ContiguousSpace", name), ("Space", name)]);
    let layout = (field("_bottom")?, field("_top")?, field("_end")?);
    let spaces = [
        (
            young,
            structs.offset(&[("DefNewGeneration", "_eden_space")])?,
            true,
        ),
        (
            young,
            structs.offset(&[("DefNewGeneration", "_from_space")])?,
            true,
        ),
        (young, structs.offset(&[("DefNewGeneration", "_to_space")])?, true),
        (
            old,
            structs.offset(&[("TenuredGeneration", "_the_space")])?,
            false,
        ),
    ];
    spaces_of(&spaces, layout, memory)
}

/// The spaces that generations point to, in chunks.
fn spaces_of(
    spaces: &[(u64, u64, bool)],
    (bottom, top, end): (u64, u64, u64),
    memory: &mut Memory,
) -> Result<Vec<Span>, Unknown> {
    let mut spans = Vec::new();
    for &(generation, offset, is_young) in spaces {
        if generation == 0 || generation >= 1 << 56 {
            return Err(Unknown::NotKept("it is just starting: it has no heap yet"));
        }
        let space = memory.value::<u64>(generation + offset)?;
        if space >= 1 << 56 {
            return Err(Unknown::Layout("a space is not where one can be"));
        }
        let start = memory.value::<u64>(space + bottom)?;
        let top = memory.value::<u64>(space + top)?;
        let end = memory.value::<u64>(space + end)?;
        if start > top || top > end || end >= 1 << 56 || !start.is_multiple_of(8) {
            return Err(Unknown::Layout("a space ends before it begins"));
        }
        if top - start > MAX_SPACE {
            return Err(Unknown::Layout("a space is longer than one can be"));
        }
        spans.extend(chunks(start, top).map(|(from, to)| Span {
            start: from,
            end: to,
            limit: top,
            is_aligned: from == start,
            is_young,
            is_humongous: false,
            tag: None,
        }));
    }
    Ok(spans)
}

fn chunks(start: u64, top: u64) -> impl Iterator<Item = (u64, u64)> {
    let count = (top - start).div_ceil(CHUNK);
    (0..count).map(move |index| {
        let from = start + index * CHUNK;
        (from, (from + CHUNK).min(top))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_leave_nothing_out() {
        let all: Vec<_> = chunks(8, 8 + CHUNK + 16).collect();
        assert_eq!(all, [(8, 8 + CHUNK), (8 + CHUNK, 8 + CHUNK + 16)]);
        assert_eq!(chunks(8, 8).count(), 0);
    }
}
