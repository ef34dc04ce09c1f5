//! Which line a position in the bytecode is of. Tables come from memory of whoever is watched: any bytes give an answer.

use super::layout::LineFormat;

/// The line at `offset` bytes into the bytecode; `None` when the table does not say.
pub(super) fn line(format: LineFormat, table: &[u8], first_line: i32, offset: u64) -> Option<u32> {
    let line = match format {
        LineFormat::Lnotab => Some(lnotab(table, first_line, offset)),
        LineFormat::Ranges => ranges(table, first_line, offset),
        LineFormat::Locations => locations(table, first_line, offset),
    }?;
    u32::try_from(line).ok().filter(|&line| line > 0)
}

/// Pairs: so many bytes on, so many lines on.
fn lnotab(table: &[u8], first_line: i32, offset: u64) -> i32 {
    let (mut line, mut at) = (first_line, 0);
    for pair in table.chunks_exact(2) {
        at += u64::from(pair[0]);
        if at > offset {
            break;
        }
        line = line.wrapping_add(i32::from(pair[1].cast_signed()));
    }
    line
}

/// Pairs: so many bytes are of the line that is so many lines on; -128 for none.
fn ranges(table: &[u8], first_line: i32, offset: u64) -> Option<i32> {
    let (mut line, mut end) = (first_line, 0);
    for pair in table.chunks_exact(2) {
        end += u64::from(pair[0]);
        let delta = pair[1].cast_signed();
        if delta != i8::MIN {
            line = line.wrapping_add(i32::from(delta));
        }
        if offset < end {
            return (delta != i8::MIN).then_some(line);
        }
    }
    None
}

/// Entries of different lengths; the first byte of each has the highest bit set.
fn locations(table: &[u8], first_line: i32, offset: u64) -> Option<i32> {
    let (mut line, mut end) = (first_line, 0);
    let mut rest = table;
    while let Some((&first, after)) = rest.split_first() {
        if first & 0x80 == 0 {
            return None;
        }
        let kind = first >> 3 & 0xf;
        end += 2 * (u64::from(first & 7) + 1);
        let delta = match kind {
            13 | 14 => signed(after),
            10..=12 => i32::from(kind) - 10,
            _ => 0,
        };
        line = line.wrapping_add(delta);
        if offset < end {
            // 15 is code that the compiler made up.
            return (kind != 15).then_some(line);
        }
        let next = after.iter().position(|byte| byte & 0x80 != 0)?;
        rest = &after[next..];
    }
    None
}

/// Six bits a byte, lowest first, as long as the seventh is set; of the number the lowest bit is the sign.
fn signed(bytes: &[u8]) -> i32 {
    let mut value: u32 = 0;
    for (index, &byte) in bytes.iter().take(6).enumerate() {
        value |= u32::from(byte & 0x3f) << (6 * index);
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    #[test]
    fn each_format_by_its_description() {
        // Objects/lnotab_notes.txt: byte 0 line 1, 6 -> 2, 50 -> 7, 350 -> 207, 361 -> 208.
        let table = [6, 1, 44, 5, 255, 0, 45, 127, 0, 73, 11, 1];
        for (offset, wanted) in [(0, 1), (5, 1), (6, 2), (50, 7), (349, 7), (350, 207), (361, 208)] {
            assert_eq!(
                line(LineFormat::Lnotab, &table, 1, offset),
                Some(wanted),
                "{offset}"
            );
        }
        let table = [4, 1, 6, 0x80, 2, 0xff];
        for (offset, wanted) in [(0, Some(11)), (4, None), (9, None), (10, Some(10)), (12, None)] {
            assert_eq!(line(LineFormat::Ranges, &table, 10, offset), wanted, "{offset}");
        }
        // One code unit, no columns, +3; two units, short form; one unit, no location; one unit, one line on.
        let table = [
            0x80 | 13 << 3,
            6,
            0x80 | 1,
            0x10,
            0x80 | 15 << 3,
            0x80 | 11 << 3,
            0,
            1,
        ];
        for (offset, wanted) in [
            (0, Some(103)),
            (2, Some(103)),
            (5, Some(103)),
            (6, None),
            (8, Some(104)),
            (10, None),
        ] {
            assert_eq!(
                line(LineFormat::Locations, &table, 100, offset),
                wanted,
                "{offset}"
            );
        }
    }

    #[test]
    fn negative_and_long_deltas() {
        assert_eq!(signed(&[3]), -1);
        assert_eq!(signed(&[0x40, 1]), 32);
        assert_eq!(signed(&[]), 0);
    }

    proptest! {
        #[test]
        fn any_table_gets_an_answer(table in prop::collection::vec(any::<u8>(), 0..64), first: i32, offset: u64) {
            for format in [LineFormat::Lnotab, LineFormat::Ranges, LineFormat::Locations] {
                line(format, &table, first, offset);
            }
        }
    }
}
