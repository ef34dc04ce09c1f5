//! The BEAM's tables of processes and ports: `ErtsPTab` (erts/emulator/beam/erl_ptab.h).
//!
//! It has three parts, each of whole cache lines: who lists it, what changes often, what never does. The last two are of the
//! same size in every release since R16, so they are found from the end.

use crate::{runtimes::Unknown, target_memory::TargetMemory};

/// Size of the parts, bytes.
const CHANGES: u64 = 64;
const FIXED: u64 = 128;
/// Offsets in them.
const COUNT: u64 = 8;
const ELEMENTS: u64 = 0;
/// `max`, and behind it `pix_mask`, 32 bits each.
const MAX: u64 = 16;
/// The element that stands for one that is being made.
const INVALID: u64 = 56;
/// `ERTS_PTAB_MAX_SIZE`.
const LARGEST: u64 = 1 << 27;

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Elements that are alive.
    pub(super) count: u64,
    /// Elements that there may be.
    pub(super) max: u64,
    elements: u64,
    invalid: u64,
}

impl Table {
    /// Reads the table that is a variable of this place and size.
    pub(super) fn read(memory: &mut impl TargetMemory, address: u64, size: u64) -> Result<Self, Unknown> {
        let wrong = Unknown::Layout("the table of its processes");
        let Some(fixed) = size.checked_sub(FIXED).filter(|_| size >= FIXED + CHANGES) else {
            return Err(wrong);
        };
        let fixed = address + fixed;
        let halves = |word: u64| (word & u64::from(u32::MAX), word >> 32);
        let (max, mask) = halves(memory.word(fixed + MAX)?);
        let table = Self {
            count: halves(memory.word(fixed - CHANGES + COUNT)?).0,
            max,
            elements: memory.word(fixed + ELEMENTS)?,
            invalid: memory.word(fixed + INVALID)?,
        };
        let is_sound = table.max.is_power_of_two()
            && table.max <= LARGEST
            && mask == table.max - 1
            && table.count <= table.max
            && table.elements.is_multiple_of(8);
        if is_sound { Ok(table) } else { Err(wrong) }
    }

    /// Addresses of at most `limit` elements that are alive.
    pub(super) fn elements(&self, memory: &mut impl TargetMemory, limit: usize) -> Result<Vec<u64>, Unknown> {
        const TOGETHER: u16 = 512;
        let mut found = Vec::new();
        let mut words = [0_u64; TOGETHER as usize];
        let mut at = 0;
        while at < self.max && (found.len() as u64) < self.count && found.len() < limit {
            let together = (self.max - at).min(TOGETHER.into());
            let words = &mut words[..usize::try_from(together).unwrap_or(0)];
            memory.read(
                self.elements.wrapping_add(at * 8),
                bytemuck::cast_slice_mut(words),
            )?;
            let alive = words
                .iter()
                .filter(|&&word| word != 0 && word != self.invalid && word % 8 == 0);
            found.extend(alive);
            at += together;
        }
        found.truncate(limit);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const AT: u64 = 0x1000;
    const ELEMENTS_AT: u64 = 0x8000;

    fn memory(count: u64, max: u64) -> MadeUp {
        let mut memory = MadeUp::default();
        memory.put(AT, &[0; 320]);
        memory.put_words(AT + 128 + 8, &[count | 7 << 32]);
        memory.put_words(AT + 192, &[ELEMENTS_AT, 0, max | (max - 1) << 32]);
        memory.put_words(AT + 192 + 56, &[0xdead0]);
        memory.put_words(ELEMENTS_AT, &[0x100, 0, 0xdead0, 0x200, 0, 0, 0, 0]);
        memory
    }

    #[test]
    fn what_is_alive() {
        let mut memory = memory(2, 8);
        let table = Table::read(&mut memory, AT, 320).expect("sound");
        assert_eq!((table.count, table.max), (2, 8));
        assert_eq!(table.elements(&mut memory, 10).expect("mapped"), [0x100, 0x200]);
        assert_eq!(table.elements(&mut memory, 1).expect("mapped"), [0x100]);
    }

    #[test]
    fn other_layouts_are_refused() {
        for (count, max) in [(9, 8), (1, 9), (1, 1 << 28), (1, 1 << 31)] {
            assert!(
                Table::read(&mut memory(count, max), AT, 320).is_err(),
                "{count} {max}"
            );
        }
        for size in [0, 64, 128, 256, 1 << 20] {
            assert!(Table::read(&mut memory(2, 8), AT, size).is_err(), "{size}");
        }
    }
}
