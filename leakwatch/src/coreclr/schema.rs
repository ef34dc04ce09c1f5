//! Columns of the tables in the metadata of an assembly (ECMA-335, II.22), up to the one of nested classes.

/// Tables that there may be.
pub(crate) const TABLES: usize = 64;
/// Tables whose rows are read; their numbers.
pub(crate) const TYPE_DEF: usize = 0x02;
pub(crate) const METHOD_DEF: usize = 0x06;
pub(crate) const NESTED_CLASS: usize = 0x29;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// A number of so many bytes.
    Number(u64),
    Text,
    Guid,
    Blob,
    /// A row of that table.
    Row(usize),
    /// A row of one of those; so many bits say of which.
    OneOf(u32, &'static [usize]),
}

use Column::{Blob, Guid, Number, OneOf, Row, Text};

const TYPE: Column = OneOf(2, &[0x02, 0x01, 0x1b]);
const METHOD: Column = OneOf(1, &[0x06, 0x0a]);
const IMPLEMENTATION: Column = OneOf(2, &[0x26, 0x23, 0x27]);
const ATTRIBUTED: Column = OneOf(
    5,
    &[
        0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14, 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26,
        0x27, 0x28, 0x2a, 0x2c, 0x2b,
    ],
);

/// By the number of the table.
const COLUMNS: [&[Column]; NESTED_CLASS + 1] = [
    &[Number(2), Text, Guid, Guid, Guid],
    &[OneOf(2, &[0x00, 0x1a, 0x23, 0x01]), Text, Text],
    &[Number(4), Text, Text, TYPE, Row(0x04), Row(0x06)],
    &[Row(0x04)],
    &[Number(2), Text, Blob],
    &[Row(0x06)],
    &[Number(8), Text, Blob, Row(0x08)],
    &[Row(0x08)],
    &[Number(4), Text],
    &[Row(0x02), TYPE],
    &[OneOf(3, &[0x02, 0x01, 0x1a, 0x06, 0x1b]), Text, Blob],
    &[Number(2), OneOf(2, &[0x04, 0x08, 0x17]), Blob],
    &[ATTRIBUTED, OneOf(3, &[0x06, 0x0a]), Blob],
    &[OneOf(1, &[0x04, 0x08]), Blob],
    &[Number(2), OneOf(2, &[0x02, 0x06, 0x20]), Blob],
    &[Number(6), Row(0x02)],
    &[Number(4), Row(0x04)],
    &[Blob],
    &[Row(0x02), Row(0x14)],
    &[Row(0x14)],
    &[Number(2), Text, TYPE],
    &[Row(0x02), Row(0x17)],
    &[Row(0x17)],
    &[Number(2), Text, Blob],
    &[Number(2), Row(0x06), OneOf(1, &[0x14, 0x17])],
    &[Row(0x02), METHOD, METHOD],
    &[Text],
    &[Blob],
    &[Number(2), OneOf(1, &[0x04, 0x06]), Text, Row(0x1a)],
    &[Number(4), Row(0x04)],
    &[Number(8)],
    &[Number(4)],
    &[Number(16), Blob, Text, Text],
    &[Number(4)],
    &[Number(12)],
    &[Number(12), Blob, Text, Text, Blob],
    &[Number(4), Row(0x23)],
    &[Number(12), Row(0x23)],
    &[Number(4), Text, Blob],
    &[Number(8), Text, Text, IMPLEMENTATION],
    &[Number(8), Text, IMPLEMENTATION],
    &[Row(0x02), Row(0x02)],
];

/// How long columns are.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: [u32; TABLES],
    pub(crate) text: u64,
    pub(crate) guid: u64,
    pub(crate) blob: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            rows: [0; TABLES],
            text: 2,
            guid: 2,
            blob: 2,
        }
    }
}

impl Sizes {
    pub(crate) fn of(&self, column: Column) -> u64 {
        let number = |rows: u32, limit: u32| if rows < limit { 2 } else { 4 };
        match column {
            Number(bytes) => bytes,
            Text => self.text,
            Guid => self.guid,
            Blob => self.blob,
            Row(table) => number(self.rows[table], 1 << 16),
            OneOf(bits, tables) => {
                let most = tables.iter().map(|&table| self.rows[table]).max();
                number(most.unwrap_or(0), 1 << (16 - bits))
            }
        }
    }
}

/// Bytes of a row of that table.
pub(crate) fn row_size(table: usize, sizes: &Sizes) -> u64 {
    let columns = COLUMNS.get(table).copied().unwrap_or_default();
    columns.iter().map(|column| sizes.of(*column)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_longer_where_what_they_refer_to_is_much() {
        let mut sizes = Sizes::default();
        assert_eq!(row_size(TYPE_DEF, &sizes), 14);
        assert_eq!(row_size(METHOD_DEF, &sizes), 14);
        sizes.rows[0x06] = 1 << 16;
        assert_eq!(row_size(TYPE_DEF, &sizes), 16);
        sizes.rows[0x1b] = 1 << 14;
        assert_eq!(row_size(TYPE_DEF, &sizes), 18);
        sizes.text = 4;
        assert_eq!(row_size(TYPE_DEF, &sizes), 22);
        assert_eq!(row_size(NESTED_CLASS, &sizes), 4);
    }
}
