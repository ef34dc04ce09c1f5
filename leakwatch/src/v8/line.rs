//! From a position in a script to a line.

use super::object::{Object, Objects, smi};
use crate::target_memory::TargetMemory;

/// Longest source whose lines are counted, characters.
const MAX_SOURCE: u64 = 1 << 20;
/// Bytes of it that are read at a time.
const PIECE: usize = 16 << 10;

impl<M: TargetMemory> Objects<'_, M> {
    /// The line of a position, counted from 1. V8 keeps a table of the ends of lines once somebody asked for a line (an
    /// exception did); before that the lines up to the position are counted in the source.
    pub(super) fn line(&mut self, script: Object, position: u32) -> Option<u32> {
        let ends = self.field(script, self.layout.script.line_ends);
        let ends = ends.filter(|ends| ends.instance_type == self.layout.types.fixed_array);
        match ends {
            Some(ends) => self.line_in_table(ends, position),
            None => self.line_in_source(script, position),
        }
    }

    fn line_in_table(&mut self, ends: Object, position: u32) -> Option<u32> {
        let layout = self.layout.script;
        let length = smi(self.memory.word(ends.address + layout.array_length).ok()?)?;
        let (mut low, mut high) = (0, u32::try_from(length).ok()?);
        if high == 0 {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let at = ends.address + layout.array_data + u64::from(middle) * 8;
            let end = u32::try_from(smi(self.memory.word(at).ok()?)?).ok()?;
            if end < position {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_add(1)
    }

    /// Only of a source that lies in the heap in one piece.
    fn line_in_source(&mut self, script: Object, position: u32) -> Option<u32> {
        let source = self.field(script, self.layout.script.source)?;
        let strings = self.layout.strings;
        let is_flat = source.instance_type < strings.first_other_type
            && source.instance_type & strings.representation_mask == strings.sequential;
        let mut length = [0; 4];
        self.memory
            .read(source.address + strings.length, &mut length)
            .ok()?;
        if !is_flat || position > u32::from_le_bytes(length) || u64::from(position) > MAX_SOURCE {
            return None;
        }
        let is_one_byte = source.instance_type & strings.encoding_mask == strings.one_byte;
        let width = if is_one_byte { 1 } else { 2 };
        let mut left = usize::try_from(position).ok()? * width;
        self.counted = self.counted.checked_sub(left as u64)?;
        let mut at = source.address + strings.chars;
        let mut line = 1;
        let mut piece = [0; PIECE];
        while left > 0 {
            let read = &mut piece[..left.min(PIECE)];
            self.memory.read(at, read).ok()?;
            let ends = read
                .chunks_exact(width)
                .filter(|unit| unit[0] == b'\n' && unit.iter().skip(1).all(|&byte| byte == 0));
            line += u32::try_from(ends.count()).ok()?;
            left -= read.len();
            at += read.len() as u64;
        }
        Some(line)
    }
}
