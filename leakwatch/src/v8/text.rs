//! Strings.

use super::object::{Object, Objects};
use crate::{model::sanitize, target_memory::TargetMemory};

/// Longest text that is read, code units.
const MAX_LENGTH: usize = 256;
/// A string may be made of others: so many are looked at.
const MAX_PARTS: usize = 32;

impl<M: TargetMemory> Objects<'_, M> {
    /// The text of a string, at most [`MAX_LENGTH`] code units of it; control characters are replaced. Nothing when it is no
    /// string, or its characters lie outside the heap.
    pub(crate) fn text(&mut self, string: Object) -> Option<String> {
        let mut units = Vec::new();
        let mut parts = vec![string];
        let mut looked_at = 0;
        while let Some(part) = parts.pop() {
            looked_at += 1;
            if units.len() >= MAX_LENGTH || looked_at > MAX_PARTS {
                break;
            }
            self.append(part, &mut units, &mut parts)?;
        }
        Some(sanitize::text(String::from_utf16_lossy(&units).as_bytes()))
    }

    /// Appends the characters of a string, or puts what it is made of on top of `parts`.
    fn append(&mut self, string: Object, units: &mut Vec<u16>, parts: &mut Vec<Object>) -> Option<()> {
        let strings = self.layout.strings;
        if string.instance_type >= strings.first_other_type {
            return None;
        }
        match string.instance_type & strings.representation_mask {
            tag if tag == strings.sequential => {
                let length = self.length(string)?;
                self.characters(string, 0, length, units)
            }
            tag if tag == strings.cons => {
                parts.push(self.field(string, strings.second)?);
                parts.push(self.field(string, strings.first)?);
                Some(())
            }
            tag if tag == strings.thin => {
                parts.push(self.field(string, strings.actual)?);
                Some(())
            }
            tag if tag == strings.sliced => {
                let parent = self.field(string, strings.parent)?;
                let offset = self.memory.word(string.address + strings.offset).ok()?;
                let offset = usize::try_from(super::object::smi(offset)?).ok()?;
                let length = self.length(string)?;
                let is_flat = parent.instance_type < strings.first_other_type
                    && parent.instance_type & strings.representation_mask == strings.sequential;
                if !is_flat || offset.checked_add(length)? > self.length(parent)? {
                    return None;
                }
                self.characters(parent, offset, length, units)
            }
            _ => None,
        }
    }

    /// So many characters of a sequential string.
    fn characters(&mut self, string: Object, from: usize, length: usize, units: &mut Vec<u16>) -> Option<()> {
        let strings = self.layout.strings;
        let length = length.min(MAX_LENGTH.saturating_sub(units.len()));
        let chars = string.address.checked_add(strings.chars)?;
        if string.instance_type & strings.encoding_mask == strings.one_byte {
            let mut bytes = vec![0; length];
            self.memory
                .read(chars.checked_add(from as u64)?, &mut bytes)
                .ok()?;
            units.extend(bytes.into_iter().map(u16::from));
        } else {
            let mut bytes = vec![0; length * 2];
            let at = chars.checked_add(from as u64 * 2)?;
            self.memory.read(at, &mut bytes).ok()?;
            units.extend(
                bytes
                    .chunks_exact(2)
                    .map(|unit| u16::from_le_bytes([unit[0], unit[1]])),
            );
        }
        Some(())
    }

    fn length(&mut self, string: Object) -> Option<usize> {
        let mut bytes = [0; 4];
        let at = string.address.checked_add(self.layout.strings.length)?;
        self.memory.read(at, &mut bytes).ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }
}
