//! Objects by type: each begins with the address of its type, and lies behind the one before it.
//!
//! There is no safepoint. Where a collection moves objects while they are counted, the walk goes on at the next word that
//! is the address of a type.

use std::{collections::HashMap, io};

use super::segments::Segment;
use crate::{
    coreclr::method_table::{Shape, Types},
    model::census::{CensusRow, Counted},
    target_memory::ResidentMemory,
};

/// Types, and words that look like one and are none, at the most.
const MAX_TYPES: usize = 1 << 16;
/// More bytes than this are not read.
const BUDGET: u64 = 2 << 30;
/// Bits of the first word that the collector marks objects with.
const MARKS: u64 = 7;
/// Bytes of an object that say how long it is; the shortest one is longer.
const HEAD: usize = 16;
const SHORTEST: u64 = 24;
const WORD: u64 = 8;

/// What was counted of one type.
#[derive(Clone, Debug)]
struct Counts {
    shape: Shape,
    /// `None` for holes.
    name: Option<String>,
    count: u64,
    bytes: u64,
}

/// The objects of one process.
pub(super) struct Objects<'a, M> {
    memory: &'a mut M,
    types: Types,
    /// By address; nothing where there is no type.
    known: HashMap<u64, Option<Counts>>,
    lost: u64,
    walked: u64,
}

impl<'a, M: ResidentMemory> Objects<'a, M> {
    pub(super) fn new(memory: &'a mut M) -> Self {
        Self {
            memory,
            types: Types::default(),
            known: HashMap::new(),
            lost: 0,
            walked: 0,
        }
    }

    /// Counts those in a segment.
    pub(super) fn walk(&mut self, segment: &Segment) {
        if let Err(why) = self.walk_range(segment.first(), segment.allocated) {
            // The segment was given back meanwhile.
            log::debug!("objects of .NET at {:x}: {why}", segment.start);
        }
    }

    fn walk_range(&mut self, start: u64, end: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut at = start;
        while at < end && self.walked < BUDGET {
            let Some(from) = self.memory.next_resident(at, end, &mut bytes)? else {
                break;
            };
            let begin = at.max(from);
            at = begin;
            while at < end
                && let Some(head) = usize::try_from(at - from)
                    .ok()
                    .and_then(|offset| bytes.get(offset..)?.first_chunk::<HEAD>())
            {
                if head.starts_with(&[0; HEAD / 2]) {
                    // A thread has this room for its next objects.
                    at += WORD;
                } else if let Some(size) = self.count(head, end - at) {
                    at += size;
                } else {
                    at += WORD;
                    self.lost += WORD;
                }
            }
            if at == begin {
                at = from + bytes.len() as u64;
            }
            self.walked += at - begin;
        }
        Ok(())
    }

    /// Counts an object that begins so and has at most that much room; how long it is.
    fn count(&mut self, head: &[u8; HEAD], room: u64) -> Option<u64> {
        let word = |at: usize| {
            head[at..]
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let table = word(0) & !MARKS;
        if self.known.len() < MAX_TYPES && !self.known.contains_key(&table) {
            let counts = self.read(table);
            self.known.insert(table, counts);
        }
        let counts = self.known.get_mut(&table)?.as_mut()?;
        let elements = counts
            .shape
            .element
            .map_or(0, |size| size * (word(8) & 0xffff_ffff));
        let size = (counts.shape.base + elements).next_multiple_of(WORD);
        if size > room {
            return None;
        }
        counts.count += 1;
        counts.bytes += size;
        Some(size)
    }

    fn read(&mut self, table: u64) -> Option<Counts> {
        let shape = Shape::of(self.memory.word(table).ok().filter(|_| table != 0)?);
        let name = if shape.is_free {
            None
        } else {
            Some(self.types.name(table, self.memory)?)
        };
        (shape.base >= SHORTEST - WORD / 2).then_some(Counts {
            shape,
            name,
            count: 0,
            bytes: 0,
        })
    }

    fn sum(&self, is_free: bool) -> u64 {
        let counts = self.known.values().flatten();
        let wanted = counts.filter(|counts| counts.name.is_none() == is_free);
        wanted.fold(0, |sum, counts| sum.saturating_add(counts.bytes))
    }

    /// Bytes in objects.
    pub(super) fn bytes(&self) -> u64 {
        self.sum(false)
    }

    /// Bytes in holes.
    pub(super) fn free_bytes(&self) -> u64 {
        self.sum(true)
    }

    /// How much of what was looked at is in objects and holes, hundredths.
    pub(super) fn covered_percent(&self) -> u64 {
        let told = self.sum(false).saturating_add(self.sum(true));
        told.saturating_mul(100) / told.saturating_add(self.lost).max(1)
    }

    /// Those with most bytes.
    pub(super) fn rows(self, most: usize) -> impl Iterator<Item = CensusRow> {
        let mut sums: HashMap<String, (u64, u64)> = HashMap::new();
        for counts in self
            .known
            .into_values()
            .flatten()
            .filter(|counts| counts.count > 0)
        {
            if let Some(name) = counts.name {
                let sum = sums.entry(name).or_default();
                *sum = (sum.0 + counts.count, sum.1.saturating_add(counts.bytes));
            }
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
        sums.into_iter()
            .take(most)
            .map(|(name, (count, bytes))| CensusRow::of(Counted::Type, name, count, Some(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const START: u64 = 0x7000_0000;

    #[test]
    fn words_that_are_no_types_are_remembered_up_to_a_bound() {
        let words: Vec<u64> = (1..=MAX_TYPES as u64 + 8).map(|word| word << 3).collect();
        let mut memory = MadeUp::default();
        memory.put_words(START, &words);
        let mut objects = Objects::new(&mut memory);
        let end = START + 8 * words.len() as u64;
        objects.walk_range(START, end).expect("it is resident");
        assert_eq!(objects.known.len(), MAX_TYPES);
        assert_eq!((objects.bytes(), objects.covered_percent()), (0, 0));
    }
}
