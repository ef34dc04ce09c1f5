//! Objects one after the other.
//!
//! What lies between them is skipped: the part of a thread's allocation buffer that it has not used yet holds what was there
//! before, and after a class is unloaded, its dead objects say nothing any more. Behind such a gap, the next object is the
//! first word with a header as an object has it.

use super::{
    super::super::{Unknown, memory::Memory},
    klasses::{Klasses, Shape},
    spans::Span,
};

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// Counts objects.
pub(super) struct Walk<'a> {
    pub(super) klasses: &'a mut Klasses,
    /// Unused ends of allocation buffers, in ascending order.
    pub(super) gaps: &'a [(u64, u64)],
    /// By index of a name: those of the span that is walked now, and which of them are not 0.
    sums: Vec<Sum>,
    touched: Vec<usize>,
}

/// Where the walk is.
struct Cursor {
    at: u64,
    /// An object begins there.
    is_aligned: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(klasses: &'a mut Klasses, gaps: &'a [(u64, u64)]) -> Self {
        Self {
            klasses,
            gaps,
            sums: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Counts the objects that start in `span`, and gives them by the index of their class's name.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub(super) fn span(&mut self, span: &Span, memory: &mut Memory) -> Result<Vec<(usize, Sum)>, Unknown> {
        let mut bytes = Vec::new();
        let mut cursor = Cursor {
            at: span.start,
            is_aligned: span.is_aligned,
        };
        // An object that is longer than what was read is skipped unread.
        while cursor.at < span.end {
            let Some(from) = memory.next_resident(cursor.at, span.end, &mut bytes)? else {
                break;
            };
            if from > cursor.at {
                cursor = Cursor {
                    at: from,
                    is_aligned: false,
                };
            }
            self.piece(span, (from, &bytes), &mut cursor, memory);
        }
        let sums = self
            .touched
            .drain(..)
            .map(|name| (name, std::mem::take(&mut self.sums[name])));
        Ok(sums.collect())
    }

    /// Walks the objects that start in these bytes.
    fn piece(&mut self, span: &Span, (from, bytes): (u64, &[u8]), cursor: &mut Cursor, memory: &mut Memory) {
        let end = span.end.min(from + bytes.len() as u64);
        while cursor.at < end {
            if let Some(after) = self.gap(cursor.at) {
                *cursor = Cursor {
                    at: after,
                    is_aligned: false,
                };
                continue;
            }
            let object = self.object_at(span, (from, bytes), cursor, memory);
            if let Some((name, size)) = object {
                self.count(name, size);
                cursor.at = cursor.at.saturating_add(size);
            } else {
                cursor.at += 8;
            }
            cursor.is_aligned = object.is_some();
        }
    }

    /// Index of the name and size of the object there. Behind a gap it must have another one behind it.
    fn object_at(
        &mut self,
        span: &Span,
        (from, bytes): (u64, &[u8]),
        cursor: &Cursor,
        memory: &mut Memory,
    ) -> Option<(usize, u64)> {
        let fits = |at: u64, size: u64| size <= span.limit - at;
        let first = header(from, bytes, cursor.at, memory)?;
        let object = self.object(&first, cursor.at, memory)?;
        if !fits(cursor.at, object.1) {
            return None;
        }
        let next = cursor.at + object.1;
        if cursor.is_aligned || next >= span.end {
            return (cursor.is_aligned || is_quiet(&first)).then_some(object);
        }
        let second = header(from, bytes, next, memory)?;
        let is_followed = self.gap(next).is_some() || self.object(&second, next, memory).is_some();
        (is_quiet(&first) && is_followed).then_some(object)
    }

    /// Index of the name and size of the object with this header.
    fn object(&mut self, header: &[u8; 24], at: u64, memory: &mut Memory) -> Option<(usize, u64)> {
        let klass = self.klasses.of(header, memory)?;
        let size = match klass.shape {
            Shape::Instance(size) => size,
            Shape::Mirror(offset) => u64::from(memory.cached::<u32>(at.checked_add(offset)?).ok()?) * 8,
            Shape::Array { header: first, log2 } => {
                let length = header[self.klasses.array_length()..].first_chunk()?;
                let length = i32::from_le_bytes(*length);
                first + (u64::try_from(length).ok()? << log2)
            }
        };
        (size >= 16).then_some((klass.name, size.next_multiple_of(8)))
    }

    fn count(&mut self, name: usize, bytes: u64) {
        if self.sums.len() <= name {
            self.sums.resize(name + 1, Sum::default());
        }
        let sum = &mut self.sums[name];
        if sum.count == 0 {
            self.touched.push(name);
        }
        sum.count += 1;
        sum.bytes = sum.bytes.saturating_add(bytes);
    }

    /// Where the gap ends that this address lies in.
    fn gap(&self, at: u64) -> Option<u64> {
        let index = self.gaps.partition_point(|(_, end)| *end <= at);
        let (start, end) = self.gaps.get(index)?;
        (*start <= at).then_some(*end)
    }
}

/// The first words of the object there.
fn header(from: u64, bytes: &[u8], at: u64, memory: &mut Memory) -> Option<[u8; 24]> {
    let offset = usize::try_from(at.checked_sub(from)?).ok()?;
    if let Some(header) = bytes.get(offset..).and_then(|bytes| bytes.first_chunk()) {
        return Some(*header);
    }
    let mut header = [0; 24];
    memory.read(at, &mut header).ok()?;
    Some(header)
}

/// The mark of an object that is neither locked nor moved (`markWord.hpp`): ...01, and no bits beyond those of its hash.
fn is_quiet(header: &[u8; 24]) -> bool {
    let mark = header.first_chunk().map_or(0, |mark| u64::from_le_bytes(*mark));
    mark & 3 == 1 && mark >> 42 == 0
}

#[cfg(test)]
mod tests {
    use super::{super::klasses::made_up, *};
    use crate::{process_stat, runtimes::target::Target};

    const MARK: u64 = 1;

    /// Counts the objects in these words, but for the gaps, which are indices of words.
    fn count(words: &[u64], gaps: &[(u64, u64)], is_aligned: bool) -> Vec<(String, u64, u64)> {
        let start = words.as_ptr() as u64;
        let end = start + words.len() as u64 * 8;
        let gaps: Vec<_> = gaps.iter().map(|(a, b)| (start + a * 8, start + b * 8)).collect();
        let span = Span {
            start,
            end,
            limit: end,
            is_aligned,
            is_young: false,
            is_humongous: false,
            tag: None,
        };
        let mut memory = Memory::of(&Target::open(process_stat::own()).expect("alive"));
        let mut klasses = made_up::klasses();
        let mut walk = Walk::new(&mut klasses, &gaps);
        let sums = walk.span(&span, &mut memory).expect("own memory");
        let mut sums: Vec<_> = sums
            .into_iter()
            .map(|(name, sum)| (klasses.names()[name].clone(), sum.count, sum.bytes))
            .collect();
        sums.sort();
        sums
    }

    /// Two instances and an array of 3 longs, and 3 words more that are 0, so that they can be read.
    fn heap() -> Vec<u64> {
        let session = made_up::klass("Session", 24);
        let longs = made_up::klass("[J", 0x8018_0b03);
        let instance = [MARK, session, 7];
        let array = [MARK, longs, 3, 70, 71, 72];
        [&instance[..], &array, &instance].concat()
    }

    #[test]
    fn objects_follow_one_another() {
        let all = [("Session".to_owned(), 2, 48), ("long[]".to_owned(), 1, 48)];
        assert_eq!(count(&heap(), &[], true), all);
    }

    #[test]
    fn what_a_buffer_has_not_used_yet_is_no_object() {
        let stale = heap();
        let words = [heap(), stale, heap()].concat();
        let counted = count(&words, &[(12, 24)], true);
        assert_eq!(
            counted,
            [("Session".to_owned(), 4, 96), ("long[]".to_owned(), 2, 96)]
        );
    }

    #[test]
    fn behind_rubbish_the_next_object_is_found() {
        let heap = heap();
        let rubbish = [0, u64::MAX, MARK, 8, heap[1], 3];
        let words = [&rubbish[..], &heap].concat();
        for is_aligned in [true, false] {
            assert_eq!(count(&words, &[], is_aligned).len(), 2);
        }
        // A header with nothing behind it that is one was left by something else.
        let alone = [MARK, heap[1], 7, 0, 0, 0, 0];
        assert_eq!(count(&alone, &[], false), []);
    }

    #[test]
    fn an_object_that_is_longer_than_its_heap_is_none() {
        let mut heap = heap();
        heap[5] = 1 << 30;
        assert_eq!(count(&heap, &[], true), [("Session".to_owned(), 2, 48)]);
        heap[5] = u64::MAX;
        assert_eq!(count(&heap, &[], true), [("Session".to_owned(), 2, 48)]);
    }
}
