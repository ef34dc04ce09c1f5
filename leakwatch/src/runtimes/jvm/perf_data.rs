//! The counters that a JVM keeps for `jstat` in memory that it shares (`jvmstat`): `java.threads.live` and the like.
//!
//! The format is version 2.0 of HotSpot's `perfMemory.hpp` and `perfData.hpp`, the same since JDK 5.

use std::collections::HashMap;

use super::super::Unknown;

const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
const LITTLE_ENDIAN: u8 = 1;
const MAJOR: u8 = 2;
/// Bytes of the prologue, and of the fixed part of an entry.
const PROLOGUE: usize = 32;
const ENTRY: usize = 20;
/// More entries than any JVM has; JDK 25 has 185.
const MAX_ENTRIES: u32 = 4096;

/// Every number among them, by its name.
#[derive(Debug, Default)]
pub(in crate::runtimes) struct PerfData {
    numbers: HashMap<String, u64>,
}

impl PerfData {
    /// Reads what the JVM has written so far; an entry that is cut off ends it.
    ///
    /// # Errors
    /// When it is not what a JVM writes, or is not complete yet.
    pub(in crate::runtimes) fn parse(bytes: &[u8]) -> Result<Self, Unknown> {
        let prologue = bytes
            .first_chunk::<PROLOGUE>()
            .ok_or(Unknown::Layout("its counters are cut off"))?;
        if prologue[..4] != MAGIC {
            return Err(Unknown::Layout("its counters begin with another magic number"));
        }
        if (prologue[4], prologue[5]) != (LITTLE_ENDIAN, MAJOR) {
            return Err(Unknown::Layout("its counters are of another format"));
        }
        if prologue[7] == 0 {
            return Err(Unknown::NotKept(
                "it is just starting: its counters are not complete",
            ));
        }
        let used = number(bytes, 8).map_or(0, |used| used.min(bytes.len()));
        let bytes = &bytes[..used];
        let mut data = Self::default();
        let mut at = number(prologue, 24).unwrap_or(usize::MAX);
        let entries = number(prologue, 28).and_then(|entries| u32::try_from(entries).ok());
        for _ in 0..entries.unwrap_or(0).min(MAX_ENTRIES) {
            let Some(length) = data.entry(bytes, at) else {
                break;
            };
            at = at.saturating_add(length);
        }
        if data.numbers.is_empty() {
            return Err(Unknown::Layout("none of its counters can be read"));
        }
        Ok(data)
    }

    /// The number of that name; 0 when it is below.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }

    /// Adds the entry there and says how long it is.
    fn entry(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let entry = bytes.get(at..)?;
        let length = number(entry, 0)?;
        let entry = entry.get(..length).filter(|entry| entry.len() > ENTRY)?;
        let name = text(entry.get(number(entry, 4)?..)?)?;
        let elements = number(entry, 8)?;
        let data = entry.get(number(entry, 16)?..)?;
        // Of type `long`, and no array.
        if (entry[12], elements) == (b'J', 0) {
            let value = i64::from_le_bytes(*data.first_chunk()?);
            self.numbers.insert(name, u64::try_from(value).unwrap_or(0));
        }
        Some(length)
    }
}

/// Up to a NUL byte, and only if all of it is UTF-8.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).ok()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: u8, elements: u32, data: &[u8]) -> Vec<u8> {
        let name = [name.as_bytes(), &[0]].concat();
        let data_at = u32::try_from(20 + name.len()).expect("short");
        let length = data_at + u32::try_from(data.len()).expect("short");
        let mut entry = Vec::new();
        for word in [length, 20, elements] {
            entry.extend(word.to_le_bytes());
        }
        entry.extend([kind, 1, 4, 3]);
        entry.extend(data_at.to_le_bytes());
        [entry, name, data.to_vec()].concat()
    }

    fn file() -> Vec<u8> {
        let entries = [
            entry("java.threads.live", b'J', 0, &46_i64.to_le_bytes()),
            entry("java.property.java.vm.version", b'B', 8, b"17.0.15\0"),
            entry("sun.gc.collector.1.invocations", b'J', 0, &3_i64.to_le_bytes()),
        ]
        .concat();
        let mut file = MAGIC.to_vec();
        file.extend([LITTLE_ENDIAN, MAJOR, 0, 1]);
        file.extend(
            u32::try_from(PROLOGUE + entries.len())
                .expect("short")
                .to_le_bytes(),
        );
        file.extend([0; 12]);
        file.extend([32, 0, 0, 0, 3, 0, 0, 0]);
        [file, entries].concat()
    }

    #[test]
    fn counters_by_name() {
        let data = PerfData::parse(&file()).expect("a file");
        assert_eq!(data.number("java.threads.live"), Some(46));
        assert_eq!(data.number("sun.gc.collector.1.invocations"), Some(3));
        assert_eq!(data.number("java.property.java.vm.version"), None);
    }

    #[test]
    fn cut_off_anywhere_it_says_what_is_left() {
        let file = file();
        for end in 0..file.len() {
            let left = PerfData::parse(&file[..end]);
            let counters = left.map_or(0, |data| data.numbers.len());
            assert!(counters < 2, "{end}");
        }
    }

    #[test]
    fn what_no_jvm_writes_is_refused() {
        for (at, byte) in [(0, 0), (4, 0), (5, 3), (7, 0), (24, 255)] {
            let mut broken = file();
            broken[at] = byte;
            assert!(PerfData::parse(&broken).is_err(), "byte {at}");
        }
    }

    #[test]
    fn any_byte_may_be_anything() {
        for at in 0..file().len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = file();
                broken[at] = byte;
                let _ = PerfData::parse(&broken);
            }
        }
    }

    #[test]
    fn an_entry_of_no_length_ends_it() {
        let mut broken = file();
        broken[PROLOGUE..PROLOGUE + 4].fill(0);
        assert!(PerfData::parse(&broken).is_err());
    }
}
