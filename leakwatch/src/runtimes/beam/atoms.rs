//! Names of atoms: `IndexTable` (index.h) of `Atom` (atom.h).

use crate::{model::sanitize, runtimes::Unknown, target_memory::TargetMemory};

/// Offsets from the end of the table.
const SEGMENTS: u64 = 8;
const ENTRIES: u64 = 12;
const LIMIT: u64 = 16;
/// Entries of one segment.
const SEGMENT: u64 = 1024;
/// Offsets in an atom.
const INDEX: u64 = 16;
const LENGTH: u64 = 24;
const NAME: u64 = 32;
/// Longest name, bytes: 255 characters.
const MAX_NAME: usize = 1020;
/// How a term says that it is an atom (erl_term.h): six bits.
const TAG: u64 = 0xb;
const TAG_MASK: u64 = 0x3f;

/// Every atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atoms {
    /// How many there are.
    pub(super) entries: u64,
    /// How many there may be.
    pub(super) limit: u64,
    segments: u64,
}

impl Atoms {
    /// Reads the table that is a variable of this place and size.
    pub(super) fn read(memory: &mut impl TargetMemory, address: u64, size: u64) -> Result<Self, Unknown> {
        let wrong = Unknown::Layout("the table of its atoms");
        if !(LIMIT..=4096).contains(&size) {
            return Err(wrong);
        }
        let end = address + size;
        let both = memory.word(end - LIMIT)?;
        let atoms = Self {
            entries: both >> 32,
            limit: both & u64::from(u32::MAX),
            segments: memory.word(end - SEGMENTS)?,
        };
        debug_assert_eq!(LIMIT - ENTRIES, 4);
        let is_sound = atoms.entries > 0 && atoms.entries <= atoms.limit && atoms.segments.is_multiple_of(8);
        if is_sound { Ok(atoms) } else { Err(wrong) }
    }

    /// The name that a term stands for; `None` when it is no atom.
    pub(super) fn name(&self, memory: &mut impl TargetMemory, term: u64) -> Option<String> {
        let index = term >> TAG_MASK.count_ones();
        if term & TAG_MASK != TAG || index >= self.entries {
            return None;
        }
        let segment = memory
            .word(self.segments.checked_add(index / SEGMENT * 8)?)
            .ok()?;
        let atom = memory.word(segment.checked_add(index % SEGMENT * 8)?).ok()?;
        let word = |memory: &mut dyn FnMut(u64) -> Option<u64>, offset| memory(atom.checked_add(offset)?);
        let mut read = |address| memory.word(address).ok();
        // It says itself which one it is.
        let is_it = word(&mut read, INDEX)? & u64::from(u32::MAX) == index;
        let length = usize::try_from(word(&mut read, LENGTH)? & 0xffff).ok()?;
        let at = word(&mut read, NAME)?;
        if !is_it || length > MAX_NAME {
            return None;
        }
        let mut name = vec![0; length];
        memory.read(at, &mut name).ok()?;
        str::from_utf8(&name)
            .ok()
            .map(|name| sanitize::text(name.as_bytes()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    /// A table of these atoms at `at`, 128 bytes long, and the terms that stand for them.
    pub(in super::super) fn put(memory: &mut MadeUp, at: u64, names: &[&str]) -> Vec<u64> {
        let (segments, segment) = (at + 0x1000, at + 0x2000);
        memory.put(at, &[0; 128]);
        memory.put_words(at + 112, &[1 << 20 | (names.len() as u64) << 32, segments]);
        memory.put_words(segments, &[segment]);
        for (index, name) in (0_u64..).zip(names) {
            let atom = at + 0x4000 + index * 0x100;
            memory.put_words(segment + index * 8, &[atom]);
            memory.put_words(atom, &[0, 0, index, name.len() as u64, atom + 64]);
            memory.put(atom + 64, name.as_bytes());
        }
        (0..names.len() as u64).map(|index| index << 6 | TAG).collect()
    }

    #[test]
    fn names_of_terms() {
        let mut memory = MadeUp::default();
        let terms = put(&mut memory, 0x10000, &["true", "erl_init"]);
        let atoms = Atoms::read(&mut memory, 0x10000, 128).expect("sound");
        assert_eq!((atoms.entries, atoms.limit), (2, 1 << 20));
        assert_eq!(atoms.name(&mut memory, terms[1]).as_deref(), Some("erl_init"));
        for none in [0, terms[1] + 1, terms[1] + 64, u64::MAX] {
            assert_eq!(atoms.name(&mut memory, none), None);
        }
    }

    #[test]
    fn an_atom_that_is_another_has_no_name() {
        let mut memory = MadeUp::default();
        let terms = put(&mut memory, 0x10000, &["a", "b"]);
        let atoms = Atoms::read(&mut memory, 0x10000, 128).expect("sound");
        memory.put_words(0x14100 + 16, &[7]);
        assert_eq!(atoms.name(&mut memory, terms[1]), None);
        memory.put_words(0x14000 + 24, &[0xffff]);
        assert_eq!(atoms.name(&mut memory, terms[0]), None);
    }
}
