//! Chunks counted by size and by the first word of what is in them.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::walk::{Chunk, Ended};
use crate::model::census::{CensusRow, Counted};

/// Up to this size every size is a class of its own, as in glibc's bins; beyond, each doubling is one.
const EXACT: u64 = 1024;
/// First words that are kept apart; there are as many classes in a large C++ program.
const MAX_WORDS: usize = 65_536;

/// How many, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What was met on the walks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) used: Amount,
    pub(super) free: Amount,
    /// Bytes that no chunk was made of yet.
    pub(super) top: u64,
    /// Bytes in `[heap]` that are somebody else's.
    pub(super) foreign: u64,
    /// By the size of the largest chunk in the class.
    sizes: BTreeMap<u64, Amount>,
    /// Where tables of virtual functions may be, in ascending order.
    tables: Vec<Range<u64>>,
    words: HashMap<u64, Amount>,
}

impl Tally {
    /// Keeps first words apart that lie in one of `tables`.
    pub(super) fn new(tables: Vec<Range<u64>>) -> Self {
        Self {
            tables,
            ..Self::default()
        }
    }

    pub(super) fn chunk(&mut self, chunk: Chunk) {
        if !chunk.in_use {
            self.free.add(chunk.size);
            return;
        }
        self.used.add(chunk.size);
        self.sizes.entry(class(chunk.size)).or_default().add(chunk.size);
        let word = chunk.first_word;
        let index = self.tables.partition_point(|table| table.end <= word);
        let is_table =
            word.is_multiple_of(8) && self.tables.get(index).is_some_and(|table| table.start <= word);
        if is_table && (self.words.len() < MAX_WORDS || self.words.contains_key(&word)) {
            self.words.entry(word).or_default().add(chunk.size);
        }
    }

    pub(super) fn end(&mut self, ended: Ended) {
        self.top += ended.top;
        self.foreign += ended.foreign;
    }

    /// First words that may be tables of virtual functions, those of most bytes first.
    pub(super) fn words(&self) -> Vec<(u64, Amount)> {
        let mut words: Vec<_> = self.words.iter().map(|(word, amount)| (*word, *amount)).collect();
        words.sort_by_key(|&(word, amount)| (std::cmp::Reverse(amount.bytes), word));
        words
    }

    /// The sizes of what is in use, those of most bytes first.
    pub(super) fn sizes(&self, limit: usize) -> Vec<CensusRow> {
        let mut sizes: Vec<_> = self.sizes.iter().collect();
        sizes.sort_by_key(|(size, amount)| (std::cmp::Reverse(amount.bytes), **size));
        let sizes = sizes.into_iter().take(limit);
        sizes
            .map(|(&size, amount)| row(Counted::SizeClass, size_name(size), *amount))
            .collect()
    }
}

/// A row without frames.
pub(super) fn row(counted: Counted, name: String, amount: Amount) -> CensusRow {
    CensusRow::of(counted, name, amount.count, Some(amount.bytes))
}

fn class(size: u64) -> u64 {
    if size <= EXACT {
        size
    } else {
        size.checked_next_power_of_two().unwrap_or(u64::MAX)
    }
}

fn size_name(size: u64) -> String {
    if size <= EXACT {
        format!("chunks of {size} bytes")
    } else {
        format!("chunks of {} to {size} bytes", size / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(size: u64, in_use: bool, first_word: u64) -> Chunk {
        Chunk {
            size,
            in_use,
            first_word,
        }
    }

    #[test]
    fn sizes_and_words_of_what_is_in_use() {
        let tables = std::iter::once(0x1000..0x2000);
        let mut tally = Tally::new(tables.collect());
        for _ in 0..3 {
            tally.chunk(chunk(64, true, 0x1010));
        }
        for (size, in_use, word) in [
            (64, false, 0x1010),
            (1040, true, 0x2000),
            (2048, true, 0x1011),
            (32, true, 0xfff),
        ] {
            tally.chunk(chunk(size, in_use, word));
        }
        let amount = |count, bytes| Amount { count, bytes };
        assert_eq!((tally.used, tally.free), (amount(6, 3312), amount(1, 64)));
        assert_eq!(tally.words(), [(0x1010, amount(3, 192))]);
        let names: Vec<_> = tally
            .sizes(2)
            .into_iter()
            .map(|row| (row.name, row.count))
            .collect();
        assert_eq!(
            names,
            [
                ("chunks of 1025 to 2048 bytes".to_owned(), 2),
                ("chunks of 64 bytes".to_owned(), 3)
            ]
        );
    }
}
