//! Segments of the collector's heap (`heap_segment` in `gcpriv.h`): each says itself where it ends.

use super::super::target::Mapping;
use crate::target_memory::TargetMemory;

/// Objects begin so far behind the start, bytes.
const HEAD: u64 = 4096;
/// More segments than there are of a heap of a terabyte, and the bytes of one.
const MAX_SEGMENTS: usize = 8192;
const MAX_BYTES: u64 = 1 << 40;

/// A part of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u64,
    /// Where its objects end, no later than what is mapped. Of the segment with the youngest ones it says itself where those
    /// end that the last collection left.
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
    let mut bytes = MAX_BYTES;
    // Where the last one ends: none lies in another.
    let mut done = 0;
    let may_be = |mapping: &Mapping| {
        mapping.is_anonymous() && mapping.name.is_empty() && mapping.writable && !mapping.executable
    };
    for run in mappings.chunk_by(|a, b| may_be(a) && may_be(b) && a.end == b.start) {
        let end = run.last().map_or(0, |last| last.end);
        for mapping in run.iter().filter(|mapping| may_be(mapping)) {
            let mut start = mapping.start;
            // One that is committed to its end has the next one directly behind it.
            while (done..end).contains(&start)
                && segments.len() < MAX_SEGMENTS
                && let Some(mut segment) = Segment::read(start, memory)
            {
                if let Some(newest) = newest
                    && (segment.allocated..=segment.committed).contains(&newest)
                {
                    segment.allocated = newest;
                }
                segment.allocated = segment.allocated.min(end).min(start.saturating_add(bytes));
                bytes -= segment.allocated - start;
                start = segment.reserved;
                done = start;
                segments.push(segment);
            }
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
    fn objects_end_with_what_is_mapped() {
        let mut memory = MadeUp::default();
        let far = 1 << 46;
        memory.put_words(START, &head(START, far, far));
        memory.put_words(START + 16, &[START + far]);
        // The first mapping goes on in another one, in which another segment would be.
        let middle = START + 0x8000;
        memory.put_words(middle, &head(middle, HEAD, SIZE));
        let mappings = [
            Mapping::anonymous(START, middle, ""),
            Mapping::anonymous(middle, START + SIZE, ""),
            Mapping::anonymous(START + 2 * SIZE, START + 3 * SIZE, ""),
        ];
        let found = segments(&mappings, None, &mut memory);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].start, found[0].allocated), (START, START + SIZE));
        let mappings = [Mapping::anonymous(START, START + far, "")];
        let found = segments(&mappings, None, &mut memory);
        assert_eq!(found[0].allocated, START + MAX_BYTES);
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
