//! Names of types and methods in the metadata of an assembly (ECMA-335, II.24), as it is mapped.

use super::schema::{Column, METHOD_DEF, NESTED_CLASS, Sizes, TABLES, TYPE_DEF, row_size};
use crate::{
    model::sanitize,
    target_memory::{MAX_TEXT, TargetMemory},
};

/// How the metadata begins.
const SIGNATURE: &[u8] = b"BSJB";
/// Pages that are looked at for it, before the name of the assembly; and places there that begin so.
const MAX_PAGES: u64 = 2048;
const MAX_PLACES: usize = 16;
const PAGE: usize = 4096;
/// Bytes of its head that are read: the streams are listed there.
const HEAD: usize = 256;
/// More streams than there are kinds of.
const MAX_STREAMS: u16 = 8;
/// Types in types.
const MAX_DEPTH: usize = 8;
/// More rows than a token can tell apart.
const MAX_ROWS: u32 = 1 << 24;

/// Where the names of one assembly are.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// First byte, and length.
    texts: (u64, u64),
    sizes: Sizes,
    /// First row of each table up to the last one that is read.
    tables: [u64; NESTED_CLASS + 1],
}

impl Metadata {
    /// The metadata that has the name of its assembly at `name`. The pages that are looked at are taken from `pages`.
    pub(crate) fn around(name: u64, pages: &mut u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let mut page = name - name % PAGE as u64;
        let mut bytes = [0; PAGE];
        let mut places = MAX_PLACES;
        for _ in 0..MAX_PAGES {
            *pages = pages.checked_sub(1)?;
            memory.read(page, &mut bytes).ok()?;
            for offset in (0..bytes.len()).step_by(4).rev() {
                if !bytes[offset..].starts_with(SIGNATURE) {
                    continue;
                }
                places = places.checked_sub(1)?;
                if let Some(found) = Self::at(page + offset as u64, memory) {
                    let (start, length) = found.texts;
                    return (start..start + length).contains(&name).then_some(found);
                }
            }
            page = page.checked_sub(PAGE as u64)?;
        }
        None
    }

    fn at(root: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let mut head = [0; HEAD];
        memory.read(root, &mut head).ok()?;
        let version = usize::try_from(u32_at(&head, 12)?).ok()?;
        let mut at = version.checked_add(16)?;
        let streams = u16_at(&head, at.checked_add(2)?)?;
        at += 4;
        let (mut texts, mut tables) = (None, None);
        for _ in 0..streams.min(MAX_STREAMS) {
            let stream = (
                root.checked_add(u32_at(&head, at)?.into())?,
                u32_at(&head, at + 4)?.into(),
            );
            let name = head.get(at + 8..)?;
            let length = name.iter().position(|&byte| byte == 0)?;
            match &name[..length] {
                b"#Strings" => texts = Some(stream),
                b"#~" => tables = Some(stream),
                _ => {}
            }
            at += 8 + (length + 4) / 4 * 4;
        }
        Self::read(texts?, tables?.0, memory)
    }

    fn read(texts: (u64, u64), stream: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        let mut head = [0; 24 + 4 * TABLES];
        memory.read(stream, &mut head).ok()?;
        let wide = |bit: u8| if head[6] & bit != 0 { 4 } else { 2 };
        let mut sizes = Sizes {
            text: wide(1),
            guid: wide(2),
            blob: wide(4),
            ..Sizes::default()
        };
        let present = u64::from_le_bytes(*head[8..].first_chunk()?);
        let mut at = 24;
        for table in (0..TABLES).filter(|table| present >> table & 1 != 0) {
            sizes.rows[table] = u32_at(&head, at).filter(|&rows| rows < MAX_ROWS)?;
            at += 4;
        }
        let mut next = stream.checked_add(at as u64)?;
        let mut tables = [0; NESTED_CLASS + 1];
        for (table, first) in tables.iter_mut().enumerate() {
            *first = next;
            next = next.checked_add(u64::from(sizes.rows[table]) * row_size(table, &sizes))?;
        }
        texts.0.checked_add(texts.1)?;
        Some(Self { texts, sizes, tables })
    }

    /// `Shop.Orders+Line`, by the number of its row; `None` where it is longer than [`MAX_TEXT`].
    pub(crate) fn type_name(&self, row: u32, memory: &mut impl TargetMemory) -> Option<String> {
        let mut name = String::new();
        let mut next = Some(row);
        for _ in 0..MAX_DEPTH {
            let Some(row) = next else {
                return Some(name);
            };
            let at = self.row(TYPE_DEF, row)? + 4;
            let own = self.text(at, memory)?;
            let space = self.text(at + self.sizes.text, memory)?;
            let inner = if name.is_empty() { name } else { format!("+{name}") };
            let dot = if space.is_empty() { "" } else { "." };
            name = format!("{space}{dot}{own}{inner}");
            if name.len() > MAX_TEXT {
                return None;
            }
            next = self.enclosing(row, memory);
        }
        None
    }

    /// `Place`, by the number of its row.
    pub(crate) fn method_name(&self, row: u32, memory: &mut impl TargetMemory) -> Option<String> {
        let at = self.row(METHOD_DEF, row)? + 8;
        self.text(at, memory).filter(|name| !name.is_empty())
    }

    /// The type that a type is in. The table is sorted by the inner one.
    fn enclosing(&self, inner: u32, memory: &mut impl TargetMemory) -> Option<u32> {
        let size = self.sizes.of(Column::Row(TYPE_DEF));
        let (mut low, mut high) = (1, self.sizes.rows[NESTED_CLASS]);
        while low <= high {
            let middle = low + (high - low) / 2;
            let at = self.row(NESTED_CLASS, middle)?;
            let found = number(at, size, memory)?;
            if found == inner {
                return number(at + size, size, memory);
            }
            if found < inner {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        None
    }

    fn row(&self, table: usize, row: u32) -> Option<u64> {
        let is_there = (1..=self.sizes.rows[table]).contains(&row);
        let offset = u64::from(row).checked_sub(1)? * row_size(table, &self.sizes);
        is_there.then(|| self.tables[table] + offset)
    }

    /// The text that the column at `at` refers to.
    fn text(&self, at: u64, memory: &mut impl TargetMemory) -> Option<String> {
        let offset = u64::from(number(at, self.sizes.text, memory)?);
        let (start, length) = self.texts;
        let at = (offset < length).then(|| start + offset)?;
        let text = memory.text(at).ok()?;
        Some(sanitize::text(&text))
    }
}

fn number(at: u64, size: u64, memory: &mut impl TargetMemory) -> Option<u32> {
    let mut bytes = [0; 4];
    let length = usize::try_from(size).ok()?;
    memory.read(at, bytes.get_mut(..length)?).ok()?;
    Some(u32::from_le_bytes(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_le_bytes(*chunk))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u16::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests;
