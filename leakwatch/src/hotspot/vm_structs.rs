//! What a HotSpot JVM says about its own layout: tables of fields, types and constants for the Serviceability Agent
//! (`vmStructs.hpp`), with the offsets of that very build.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
};

use super::Unknown;
use crate::target_memory::TargetMemory;

/// How the symbols of the tables begin.
const PREFIX: &[u8] = b"gHotSpotVM";
/// More of them than any JVM has: a few for each table.
const MAX_SYMBOLS: usize = 1024;
/// More entries than any JVM has; JDK 11 has 1,050 fields.
const MAX_ENTRIES: u64 = 8192;
/// Bytes of an entry at the most; all known ones are shorter.
const MAX_STRIDE: u64 = 256;

/// Bytes that are read at a time: the tables lie close together, and so do the names in them.
const BLOCK: u64 = 4096;
/// Blocks that are kept: names that lie far apart must not add up.
const MAX_BLOCKS: usize = 1024;
/// Longest name.
const MAX_NAME: usize = 512;

/// A field by its class and its name; the names of a class changed now and then, so that several are asked for.
pub(crate) type Name = (&'static str, &'static str);

/// Fields, types and integer constants, by name.
#[derive(Debug, Default)]
pub(crate) struct VmStructs {
    /// Offset in the object, or address in the process when it is static.
    fields: HashMap<(String, String), Field>,
    /// Size, bytes.
    types: HashMap<String, u64>,
    constants: HashMap<String, i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Offset(u64),
    Static(u64),
}

/// Where one of the tables is, and how its entries are laid out.
struct Table {
    start: u64,
    stride: u64,
}

impl VmStructs {
    /// Reads the tables, by the symbols of `libjvm.so`: their names and where the process has them.
    ///
    /// # Errors
    /// When there are none, or they are broken.
    pub(crate) fn read<'a>(
        symbols: impl Iterator<Item = (&'a [u8], u64)>,
        memory: &mut impl TargetMemory,
    ) -> Result<Self, Unknown> {
        let mut memory = Blocks {
            memory,
            blocks: HashMap::new(),
        };
        let mut values = HashMap::new();
        let symbols = symbols.filter_map(|(name, address)| {
            let name = str::from_utf8(name.strip_prefix(PREFIX)?).ok()?;
            Some((name, address))
        });
        for (name, address) in symbols.take(MAX_SYMBOLS) {
            values.insert(name.to_owned(), memory.word(address)?);
        }
        if values.is_empty() {
            return Err(Unknown::OtherJvm);
        }
        Self::from_symbols(&values, &mut memory)
    }

    /// The same from the values of those symbols, without [`PREFIX`].
    fn from_symbols<M: TargetMemory>(
        symbols: &HashMap<String, u64>,
        memory: &mut Blocks<'_, M>,
    ) -> Result<Self, Unknown> {
        let symbol = |name: &str| {
            let value = symbols.get(name).copied();
            value.ok_or(Unknown::Layout("a table of its fields is missing"))
        };
        let within = |name: &str, table: &Table| {
            let offset = symbol(name)?;
            if offset <= table.stride - 8 {
                Ok(offset)
            } else {
                Err(Unknown::Layout(
                    "an entry in a table of its fields is longer than itself",
                ))
            }
        };
        let mut structs = Self::default();
        let table = Table::new(symbol("Structs")?, symbol("StructEntryArrayStride")?)?;
        let class = within("StructEntryTypeNameOffset", &table)?;
        let field = within("StructEntryFieldNameOffset", &table)?;
        let is_static = within("StructEntryIsStaticOffset", &table)?;
        let offset = within("StructEntryOffsetOffset", &table)?;
        let address = within("StructEntryAddressOffset", &table)?;
        table.each(class, memory, |class, entry, memory| {
            let name = memory.word(entry + field)?;
            let field = if memory.half(entry + is_static)? == 0 {
                Field::Offset(memory.word(entry + offset)?)
            } else {
                Field::Static(memory.word(entry + address)?)
            };
            structs.fields.insert((class, memory.text(name)?), field);
            Ok(())
        })?;
        let table = Table::new(symbol("Types")?, symbol("TypeEntryArrayStride")?)?;
        let size = within("TypeEntrySizeOffset", &table)?;
        let name = within("TypeEntryTypeNameOffset", &table)?;
        table.each(name, memory, |name, entry, memory| {
            structs.types.insert(name, memory.word(entry + size)?);
            Ok(())
        })?;
        let table = Table::new(symbol("IntConstants")?, symbol("IntConstantEntryArrayStride")?)?;
        let value = within("IntConstantEntryValueOffset", &table)?;
        let name = within("IntConstantEntryNameOffset", &table)?;
        table.each(name, memory, |name, entry, memory| {
            structs
                .constants
                .insert(name, memory.half(entry + value)?.cast_signed());
            Ok(())
        })?;
        Ok(structs)
    }

    /// Whether it has a field of one of these names.
    pub(crate) fn has(&self, names: &[Name]) -> bool {
        self.field(names).is_some()
    }

    /// Where a field is in its object, bytes: the first of these that there is.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn offset(&self, names: &[Name]) -> Result<u64, Unknown> {
        match self.field(names) {
            // No object of the JVM's own is longer; sums with it cannot overflow.
            Some(Field::Offset(offset)) if offset < 1 << 20 => Ok(offset),
            _ => Err(missing(names.first().map_or("", |(_, field)| field))),
        }
    }

    /// Where a static field is in the process.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn address(&self, names: &[Name]) -> Result<u64, Unknown> {
        match self.field(names) {
            Some(Field::Static(address)) => Ok(address),
            _ => Err(missing(names.first().map_or("", |(_, field)| field))),
        }
    }

    /// How long a type is, bytes.
    ///
    /// # Errors
    /// When it is not known.
    pub(crate) fn size(&self, name: &'static str) -> Result<u64, Unknown> {
        let size = self.types.get(name).copied().filter(|size| *size < 1 << 20);
        size.ok_or(missing(name))
    }

    /// The value of a constant: the first of these that there is.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn constant(&self, names: &[&'static str]) -> Result<i32, Unknown> {
        let value = names.iter().find_map(|&name| self.constants.get(name));
        value.copied().ok_or(missing(names.first().unwrap_or(&"")))
    }

    fn field(&self, names: &[Name]) -> Option<Field> {
        let key = |(class, field): &Name| ((*class).to_owned(), (*field).to_owned());
        names.iter().find_map(|name| self.fields.get(&key(name)).copied())
    }
}

fn missing(name: &'static str) -> Unknown {
    Unknown::Missing(name)
}

impl Table {
    fn new(start: u64, stride: u64) -> Result<Self, Unknown> {
        if start.checked_add(MAX_ENTRIES * MAX_STRIDE).is_some() && (8..=MAX_STRIDE).contains(&stride) {
            Ok(Self { start, stride })
        } else {
            Err(Unknown::Layout("a table of its fields is not where one can be"))
        }
    }

    /// Gives each entry, with its name, until one without a name.
    fn each<'a, M: TargetMemory>(
        &self,
        name: u64,
        memory: &mut Blocks<'a, M>,
        mut entry: impl FnMut(String, u64, &mut Blocks<'a, M>) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        // Entries of one class follow one another and share its name.
        let mut last = (0, String::new());
        for index in 0..MAX_ENTRIES {
            let at = self.start + index * self.stride;
            let pointer = memory.word(at + name)?;
            if pointer == 0 {
                return Ok(());
            }
            if last.0 != pointer {
                last = (pointer, memory.text(pointer)?);
            }
            entry(last.1.clone(), at, memory)?;
        }
        Err(Unknown::Layout("a table of its fields does not end"))
    }
}

/// Memory that is read once, by blocks: the process has these tables in it from its start, and does not change them.
struct Blocks<'a, M> {
    memory: &'a mut M,
    blocks: HashMap<u64, Box<[u8]>>,
}

impl<M: TargetMemory> Blocks<'_, M> {
    fn byte(&mut self, address: u64) -> io::Result<u8> {
        let start = address - address % BLOCK;
        if self.blocks.len() >= MAX_BLOCKS && !self.blocks.contains_key(&start) {
            self.blocks.clear();
        }
        let block = match self.blocks.entry(start) {
            Entry::Occupied(block) => block.into_mut(),
            Entry::Vacant(slot) => {
                let mut bytes = vec![0; usize::try_from(BLOCK).unwrap_or(0)].into_boxed_slice();
                self.memory.read(start, &mut bytes)?;
                slot.insert(bytes)
            }
        };
        let offset = usize::try_from(address - start).unwrap_or(usize::MAX);
        block
            .get(offset)
            .copied()
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn bytes<const N: usize>(&mut self, address: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        for (index, byte) in (0..).zip(&mut bytes) {
            *byte = self.byte(address.checked_add(index).ok_or(io::ErrorKind::InvalidInput)?)?;
        }
        Ok(bytes)
    }

    fn word(&mut self, address: u64) -> io::Result<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }

    fn half(&mut self, address: u64) -> io::Result<u32> {
        self.bytes(address).map(u32::from_le_bytes)
    }

    fn text(&mut self, address: u64) -> Result<String, Unknown> {
        let mut text = Vec::new();
        // A field without a name would be found by nobody.
        let mut at = address;
        while address != 0 && text.len() < MAX_NAME {
            match self.byte(at)? {
                0 => break,
                byte => text.push(byte),
            }
            at = at.wrapping_add(1);
        }
        String::from_utf8(text).map_err(|_| Unknown::Layout("a name in a table of its fields is no text"))
    }
}

#[cfg(test)]
mod tests;
