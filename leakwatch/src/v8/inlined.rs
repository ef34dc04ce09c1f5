//! Functions that V8's optimising compilers put into others: a frame is that of the outermost one, and tables beside the
//! code say which was inlined where.

use super::object::{Object, Objects, pointed, smi, tagged};
use crate::target_memory::TargetMemory;

/// Code begins at a multiple of this many bytes (`kCodeAlignment`).
const ALIGNMENT: u16 = 64;
/// Code is searched for so many bytes before the place where it runs; functions are rarely longer.
const MAX_BEFORE: u64 = 128 << 10;
/// Smallest page of memory.
const PAGE: u16 = 4096;
/// Longest table, bytes.
const MAX_TABLE: usize = 64 << 10;
/// Functions inlined into each other.
const MAX_DEPTH: usize = 16;
/// A weak pointer differs from a strong one in this bit.
const WEAK: u64 = 2;

/// Where the code of a function and its tables are; what the metadata does not say, and therefore known by version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeLayout {
    /// From the beginning of an `InstructionStream`, or of a `Code` that has its instructions behind it, to these.
    header: u64,
    /// In `Code`: where its instructions begin; `None` where they are behind it.
    start: Option<u64>,
    /// How long they are, and its tables.
    size: u64,
    positions: u64,
    deoptimization: u64,
    /// Entries of `DeoptimizationData`: how many functions were inlined, which, and where.
    count: u64,
    literals: u64,
    inlined: u64,
}

/// `src/objects/code.h` and `src/objects/deoptimization-data.h` of node 18, 20, 22 and 24.
const LAYOUTS: &[(&str, CodeLayout)] = &[
    (
        "10.2.",
        CodeLayout {
            header: 128,
            start: None,
            size: 40,
            positions: 24,
            deoptimization: 16,
            count: 1,
            literals: 2,
            inlined: 7,
        },
    ),
    (
        "11.3.",
        CodeLayout {
            header: 16,
            start: Some(40),
            size: 56,
            positions: 24,
            deoptimization: 16,
            count: 1,
            literals: 2,
            inlined: 7,
        },
    ),
    (
        "12.4.",
        CodeLayout {
            header: 32,
            start: Some(40),
            size: 52,
            positions: 16,
            deoptimization: 8,
            count: 1,
            literals: 2,
            inlined: 7,
        },
    ),
    (
        "13.6.",
        CodeLayout {
            header: 32,
            start: Some(40),
            size: 56,
            positions: 16,
            deoptimization: 8,
            count: 1,
            literals: 3,
            inlined: 8,
        },
    ),
];

/// The layout of a version of V8.
pub(crate) fn layout(version: &str) -> Option<CodeLayout> {
    let known = LAYOUTS.iter().find(|(prefix, _)| version.starts_with(prefix));
    known.map(|(_, layout)| *layout)
}

/// A place in a source (`src/codegen/source-position.h`): which of the inlined ones it is in, counted from 1; 0 for none.
fn inlining(position: i64) -> u64 {
    (position.cast_unsigned() >> 31) & 0xffff
}

impl<M: TargetMemory> Objects<'_, M> {
    /// Words that point to the `SharedFunctionInfo`s of what is inlined where `pc` is, innermost first; empty when nothing is,
    /// or when it is not known.
    pub(crate) fn inlined(&mut self, pc: u64) -> Vec<u64> {
        let mut found = Vec::new();
        if let Some(layout) = self.layout.code
            && self.inlined_at(layout, pc, &mut found).is_none()
        {
            found.clear();
        }
        found
    }

    fn inlined_at(&mut self, layout: CodeLayout, pc: u64, found: &mut Vec<u64>) -> Option<()> {
        let (code, start) = self.code_around(layout, pc)?;
        let deoptimization = self.field(code, layout.deoptimization)?;
        let count = smi(self.entry(deoptimization, layout.count)?)?;
        let count = u64::try_from(count).ok().filter(|&count| count > 0)?;
        let positions = self.field(code, layout.positions)?;
        let positions = self.bytes(positions)?;
        let mut at = inlining(position(&positions, i64::try_from(pc - start).ok()?)?);
        let literals = self.entry(deoptimization, layout.literals)? & !WEAK;
        let literals = self.object(literals)?;
        let table = self.entry(deoptimization, layout.inlined)?;
        let table = self.object(table)?;
        let table = self.bytes(table)?;
        while let Some(index) = at.checked_sub(1)
            && found.len() < MAX_DEPTH
        {
            let (outer, function) = inlining_position(&table, usize::try_from(index).ok()?)?;
            let outer = inlining(outer);
            if outer >= at {
                return None;
            }
            if let Ok(function) = u64::try_from(function) {
                if function >= count {
                    return None;
                }
                found.push(self.entry(literals, function)? & !WEAK);
            }
            at = outer;
        }
        Some(())
    }

    /// The `Code` whose instructions are around `pc`, and where they begin.
    fn code_around(&mut self, layout: CodeLayout, pc: u64) -> Option<(Object, u64)> {
        let mut upper = pc - pc % u64::from(ALIGNMENT);
        let end = pc.saturating_sub(MAX_BEFORE);
        let mut piece = [0; PAGE as usize];
        // Headers end where a line does, and are shorter than one or as long as some.
        let header_at = usize::try_from(layout.header.wrapping_neg() % u64::from(ALIGNMENT)).ok()?;
        while upper > end {
            // Not beyond the page: the one before may not be mapped.
            let lower = (upper - 1) - (upper - 1) % u64::from(PAGE);
            let lines = piece.get_mut(..usize::try_from(upper - lower).ok()?)?;
            self.memory.read(lower, lines).ok()?;
            let lines = lines.chunks_exact(ALIGNMENT.into()).rev();
            for (end, line) in (lower + 1..=upper).rev().step_by(ALIGNMENT.into()).zip(lines) {
                let words = line.get(header_at..)?.first_chunk::<16>()?;
                let [map, code]: [u64; 2] = bytemuck::cast(*words);
                let header = end - (line.len() - header_at) as u64;
                let start = header + layout.header;
                let code = if layout.start.is_some() {
                    code
                } else {
                    tagged(header)
                };
                if pointed(map).is_some()
                    && let Some(found) = self.code_of(layout, code, start, pc)
                {
                    return Some((found, start));
                }
            }
            upper = lower;
        }
        None
    }

    fn code_of(&mut self, layout: CodeLayout, word: u64, start: u64, pc: u64) -> Option<Object> {
        let at = pointed(word)?;
        if let Some(offset) = layout.start
            && self.memory.word(at + offset).ok()? != start
        {
            return None;
        }
        let mut size = [0; 4];
        self.memory.read(at + layout.size, &mut size).ok()?;
        if pc.wrapping_sub(start) >= u64::from(u32::from_le_bytes(size)) {
            return None;
        }
        let code = self.object(word)?;
        (self.layout.class(code.instance_type) == Some("Code")).then_some(code)
    }

    /// The word of an array.
    fn entry(&mut self, array: Object, index: u64) -> Option<u64> {
        let layout = self.layout.script;
        let length = smi(self.memory.word(array.address + layout.array_length).ok()?)?;
        if index >= u64::try_from(length).ok()? {
            return None;
        }
        self.memory
            .word(array.address + layout.array_data + index * 8)
            .ok()
    }

    /// The bytes of an array of bytes.
    fn bytes(&mut self, array: Object) -> Option<Vec<u8>> {
        let layout = self.layout.script;
        if !self.layout.class(array.instance_type)?.ends_with("ByteArray") {
            return None;
        }
        let length = smi(self.memory.word(array.address + layout.array_length).ok()?)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= MAX_TABLE)?;
        let mut bytes = vec![0; length];
        self.memory
            .read(array.address + layout.array_data, &mut bytes)
            .ok()?;
        Some(bytes)
    }
}

/// What a table of source positions says for an offset into the code: pairs of differences, of the offset and of the
/// position, each in 7 bits a byte, lowest first, the sign in the lowest bit (`src/codegen/source-position-table.cc`).
fn position(table: &[u8], offset: i64) -> Option<i64> {
    let mut bytes = table.iter();
    let (mut code, mut position) = (-1_i64, 0_i64);
    while !bytes.as_slice().is_empty() {
        let step = number(&mut bytes)?;
        // Negative ones are not statements; they are one off.
        code = code.checked_add(if step >= 0 { step } else { -(step + 1) })?;
        if code > offset {
            break;
        }
        position = position.checked_add(number(&mut bytes)?)?;
    }
    Some(position)
}

fn number(bytes: &mut std::slice::Iter<'_, u8>) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

/// Where a function was inlined, and which one of the literals it is; negative for the outermost one itself.
fn inlining_position(table: &[u8], index: usize) -> Option<(i64, i32)> {
    const SIZE: usize = 16;
    let entry = table.get(index.checked_mul(SIZE)?..)?;
    Some((
        i64::from_le_bytes(*entry.first_chunk()?),
        i32::from_le_bytes(*entry.get(8..)?.first_chunk()?),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{inlining, inlining_position, position};

    /// The code of `handleRequest` of a test program, as node 20 compiled it, up to the first call of what it inlined.
    const TABLE: &[u8] = &[
        // (0, 276, not inlined), (121, position 114 in the third that was inlined).
        2, 0xd0, 0x08, 0xf2, 0x01, 0xf8, 0xfa, 0xff, 0xff, 0x2f,
    ];

    #[test]
    fn positions_of_an_offset() {
        let at = |offset| position(TABLE, offset).expect("sound");
        assert_eq!((at(0) >> 1, inlining(at(0))), (276, 0));
        assert_eq!(at(120), at(0));
        assert_eq!(inlining(at(121)), 3);
        assert_eq!(at(1 << 20), at(121));
    }

    proptest! {
        #[test]
        fn any_tables_are_survived(table in prop::collection::vec(any::<u8>(), 0..64), offset in any::<i64>(), index in any::<usize>()) {
            let _ = position(&table, offset).map(inlining);
            let _ = inlining_position(&table, index);
        }
    }
}
