//! Segments of the collector's heap (`heap_segment` in `gcpriv.h`): each says itself where it ends.

use super::super::target::Mapping;
use crate::target_memory::TargetMemory;

/// Objects begin so far behind the start, bytes.
const HEAD: u64 = 4096;
/// More segments than there are of a heap of a terabyte.
const MAX_SEGMENTS: usize = 8192;

/// A part of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u64,
    /// Where its objects end. Of the segment with the youngest ones it says itself where those end that the last collection
    /// left.
    pub(super) allocated: u64,
    pub(super) committed: u64,
    pub(super) reserved: u64,
}

impl Segment {
    /// Where its first object is.
    pub(super) fn first(&self) -> u64 {
        self.start + HEAD
    }

    /// What begins at `start`, if it is a segment.
    fn read(start: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let [allocated, committed, reserved, used, first] = memory.words(start).ok()?;
        let is_segment = start.checked_add(HEAD) == Some(first)
            && first <= allocated
            && allocated <= committed
            && used <= committed
            && committed <= reserved
            && [committed, reserved].iter().all(|end| end.is_multiple_of(HEAD));
        is_segment.then_some(Self {
            start,
            allocated,
            committed,
            reserved,
        })
    }
}

/// All segments, by address; `newest` is where the youngest objects end, if that is known.
pub(super) fn segments(
    mappings: &[Mapping],
    newest: Option<u64>,
    memory: &mut impl TargetMemory,
) -> Vec<Segment> {
    let mut segments = Vec::new();
    for mapping in mappings {
        let may_be =
            mapping.is_anonymous() && mapping.name.is_empty() && mapping.writable && !mapping.executable;
        let mut start = mapping.start;
        // One that is committed to its end has the next one in the same mapping.
        while may_be
            && start < mapping.end
            && segments.len() < MAX_SEGMENTS
            && let Some(mut segment) = Segment::read(start, memory)
        {
            start = segment.reserved;
            if let Some(newest) = newest
                && (segment.allocated..=segment.committed).contains(&newest)
            {
                segment.allocated = newest;
            }
            segments.push(segment);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const START: u64 = 0x7000_0000;
    const SIZE: u64 = 0x10_0000;

    fn head(start: u64, allocated: u64, committed: u64) -> [u64; 5] {
        [
            start + allocated,
            start + committed,
            start + SIZE,
            start + allocated,
            start + HEAD,
        ]
    }

    #[test]
    fn two_in_one_mapping_and_none() {
        let mut memory = MadeUp::default();
        let next = START + SIZE;
        memory.put_words(START, &head(START, 0x8_0018, SIZE));
        memory.put_words(next, &head(next, HEAD, 0x2000));
        memory.put_words(0x1000, &[1, 2, 3, 4, 5]);
        let mappings = [
            Mapping::anonymous(0x1000, 0x2000, ""),
            Mapping::anonymous(START, next + 0x2000, ""),
        ];
        let found = segments(&mappings, Some(next + 0x1800), &mut memory);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].first(), found[0].allocated),
            (START + HEAD, START + 0x8_0018)
        );
        assert_eq!((found[1].start, found[1].committed), (next, next + 0x2000));
        assert_eq!(found[1].allocated, next + 0x1800);
    }

    #[test]
    fn one_that_ends_before_it_begins_is_none() {
        let mut memory = MadeUp::default();
        memory.put_words(START, &head(START, 0, SIZE));
        assert!(segments(&[Mapping::anonymous(START, START + SIZE, "")], None, &mut memory).is_empty());
        memory.put_words(START, &head(START, HEAD, SIZE + HEAD));
        assert!(segments(&[Mapping::anonymous(START, START + SIZE, "")], None, &mut memory).is_empty());
    }
}
