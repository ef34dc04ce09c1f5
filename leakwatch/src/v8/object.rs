//! Tagged words, and what kind of object is behind one.

use std::io;

use super::metadata::Layout;
use crate::target_memory::TargetMemory;

/// The lowest two bits of a strong pointer to an object, and of a weak one. A number has a lowest bit of 0.
const STRONG: u64 = 1;
const TAG_MASK: u64 = 3;
/// User space ends below.
const MAX_ADDRESS: u64 = 1 << 56;
/// Most steps from maps to those that they were made of, of all maps of a heap together. A large program has 100,000 maps
/// with some ten steps each.
const MAX_STEPS: usize = 1 << 22;
/// Most bytes of sources in which lines are counted, of all functions together.
const MAX_COUNTED: u64 = 4 << 30;

/// Objects of one process.
pub(crate) struct Objects<'a, M> {
    pub(crate) layout: &'a Layout,
    pub(crate) memory: &'a mut M,
    /// What is left of [`MAX_STEPS`].
    pub(super) transitions: usize,
    /// What is left of [`MAX_COUNTED`].
    pub(super) counted: u64,
}

/// An object, by the address of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) address: u64,
    pub(crate) instance_type: u16,
}

/// The address of the object that a strong pointer points to.
pub(crate) fn pointed(word: u64) -> Option<u64> {
    let address = word.wrapping_sub(STRONG);
    (word & TAG_MASK == STRONG && (1..MAX_ADDRESS).contains(&address)).then_some(address)
}

/// The strong pointer to an object there.
pub(crate) fn tagged(address: u64) -> u64 {
    address | STRONG
}

/// A small integer: 32 bits in the upper half of a word.
pub(crate) fn smi(word: u64) -> Option<i32> {
    let upper = u32::try_from(word >> 32).ok()?.cast_signed();
    (word.trailing_zeros() >= 32).then_some(upper)
}

impl<'a, M: TargetMemory> Objects<'a, M> {
    pub(crate) fn new(layout: &'a Layout, memory: &'a mut M) -> Self {
        Self {
            layout,
            memory,
            transitions: MAX_STEPS,
            counted: MAX_COUNTED,
        }
    }

    /// The object behind a tagged word; nothing when there is none, or it is not one any more.
    pub(crate) fn object(&mut self, word: u64) -> Option<Object> {
        let address = pointed(word)?;
        let mut map = self.memory.word(address).ok()?;
        let mut at = address;
        // Where an object was, after the garbage collector moved it, lies the address of where it is (`MapWord`).
        if map & TAG_MASK == 0 && map != 0 {
            at = map;
            map = self.memory.word(at).ok()?;
        }
        let map = pointed(map)?;
        let of_map = pointed(self.memory.word(map).ok()?)?;
        if self.type_in(of_map).ok()? != self.layout.types.map {
            return None;
        }
        Some(Object {
            address: at,
            instance_type: self.type_in(map).ok()?,
        })
    }

    /// The object behind a field of another.
    pub(crate) fn field(&mut self, object: Object, offset: u64) -> Option<Object> {
        let word = self.memory.word(object.address.checked_add(offset)?).ok()?;
        self.object(word)
    }

    /// The instance type that a map states.
    fn type_in(&mut self, map: u64) -> io::Result<u16> {
        let mut bytes = [0; 2];
        self.memory
            .read(map.wrapping_add(self.layout.map.instance_type), &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }
}
