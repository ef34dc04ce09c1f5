//! What a HotSpot JVM says about its own layout: tables of fields, types and constants for the Serviceability Agent
//! (`vmStructs.hpp`), with the offsets of that very build.

use std::collections::HashMap;

use super::super::{Unknown, binary::Binary, memory::Memory};

/// More entries than any JVM has; JDK 11 has 1,050 fields.
const MAX_ENTRIES: u64 = 8192;
/// Bytes of an entry at the most; all known ones are shorter.
const MAX_STRIDE: u64 = 256;

/// A field by its class and its name; the names of a class changed now and then, so that several are asked for.
pub(super) type Name = (&'static str, &'static str);

/// Fields, types and integer constants, by name.
#[derive(Debug, Default)]
pub(super) struct VmStructs {
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
    /// Reads the tables of `libjvm`.
    ///
    /// # Errors
    /// When there are none, or they are broken.
    pub(super) fn read(libjvm: &Binary, memory: &mut Memory) -> Result<Self, Unknown> {
        let mut symbols = HashMap::new();
        for symbol in libjvm.symbols() {
            if let Some(name) = symbol.name.strip_prefix(b"gHotSpotVM")
                && let Ok(name) = str::from_utf8(name)
            {
                symbols.insert(name.to_owned(), symbol.address);
            }
        }
        if symbols.is_empty() {
            return Err(Unknown::NotKept(
                "its libjvm.so is not HotSpot's: it has no gHotSpotVMStructs",
            ));
        }
        let mut values = HashMap::new();
        for (name, address) in symbols {
            values.insert(name, memory.cached::<u64>(address)?);
        }
        Self::from_symbols(&values, memory)
    }

    /// The same from the values of those symbols, without `gHotSpotVM` before their names.
    fn from_symbols(symbols: &HashMap<String, u64>, memory: &mut Memory) -> Result<Self, Unknown> {
        let symbol = |name: &str| {
            let value = symbols.get(name).copied();
            value.ok_or(Unknown::Layout("a table of its fields is missing"))
        };
        let within = |name: &str, table: &Table| {
            let offset = symbol(name)?;
            if offset + 8 <= table.stride {
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
            let name = memory.cached::<u64>(entry + field)?;
            let field = if memory.cached::<i32>(entry + is_static)? == 0 {
                Field::Offset(memory.cached(entry + offset)?)
            } else {
                Field::Static(memory.cached(entry + address)?)
            };
            structs.fields.insert((class, text(name, memory)?), field);
            Ok(())
        })?;
        let table = Table::new(symbol("Types")?, symbol("TypeEntryArrayStride")?)?;
        let size = within("TypeEntrySizeOffset", &table)?;
        let name = within("TypeEntryTypeNameOffset", &table)?;
        table.each(name, memory, |name, entry, memory| {
            structs.types.insert(name, memory.cached(entry + size)?);
            Ok(())
        })?;
        let table = Table::new(symbol("IntConstants")?, symbol("IntConstantEntryArrayStride")?)?;
        let value = within("IntConstantEntryValueOffset", &table)?;
        let name = within("IntConstantEntryNameOffset", &table)?;
        table.each(name, memory, |name, entry, memory| {
            structs.constants.insert(name, memory.cached(entry + value)?);
            Ok(())
        })?;
        Ok(structs)
    }

    /// Whether it has a field of one of these names.
    pub(super) fn has(&self, names: &[Name]) -> bool {
        self.field(names).is_some()
    }

    /// Where a field is in its object, bytes: the first of these that there is.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn offset(&self, names: &[Name]) -> Result<u64, Unknown> {
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
    pub(super) fn address(&self, names: &[Name]) -> Result<u64, Unknown> {
        match self.field(names) {
            Some(Field::Static(address)) => Ok(address),
            _ => Err(missing(names.first().map_or("", |(_, field)| field))),
        }
    }

    /// How long a type is, bytes.
    ///
    /// # Errors
    /// When it is not known.
    pub(super) fn size(&self, name: &'static str) -> Result<u64, Unknown> {
        let size = self.types.get(name).copied().filter(|size| *size < 1 << 20);
        size.ok_or(missing(name))
    }

    /// The value of a constant: the first of these that there is.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn constant(&self, names: &[&'static str]) -> Result<i32, Unknown> {
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
    fn each(
        &self,
        name: u64,
        memory: &mut Memory,
        mut entry: impl FnMut(String, u64, &mut Memory) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        // Entries of one class follow one another and share its name.
        let mut last = (0, String::new());
        for index in 0..MAX_ENTRIES {
            let at = self.start + index * self.stride;
            let pointer = memory.cached::<u64>(at + name)?;
            if pointer == 0 {
                return Ok(());
            }
            if last.0 != pointer {
                last = (pointer, text(pointer, memory)?);
            }
            entry(last.1.clone(), at, memory)?;
        }
        Err(Unknown::Layout("a table of its fields does not end"))
    }
}

fn text(address: u64, memory: &mut Memory) -> Result<String, Unknown> {
    // A field without a name would be found by nobody.
    if address == 0 {
        return Ok(String::new());
    }
    let text = memory.text(address)?;
    String::from_utf8(text).map_err(|_| Unknown::Layout("a name in a table of its fields is no text"))
}
