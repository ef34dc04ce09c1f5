//! What the JVM knows of a class: its name, and how long its objects are (`klass.hpp`).

use std::collections::HashMap;

use super::super::{
    super::{Unknown, memory::Memory},
    flags::Flags,
};
use crate::hotspot::{class_name::java_name, vm_structs::VmStructs};

/// Classes, and words that look like one and are none, at the most.
const MAX_KLASSES: usize = 1 << 18;
/// Longest name that is read, bytes.
const MAX_NAME: u16 = 1024;
/// Bytes of `Klass` that are read: all fields that are asked for lie at its beginning.
const HEAD: usize = 256;
/// Classes that are found again without a look at the table.
const RECENT: usize = 1024;

/// The classes of one process, read when an object of theirs is first met.
pub(super) struct Klasses {
    layout: Offsets,
    /// By the word in an object's header.
    known: HashMap<u64, Option<Klass>>,
    /// By word, for those that were met last.
    recent: Vec<(u64, Klass)>,
    /// As Java writes them; [`Klass::name`] is an index.
    names: Vec<String>,
    by_name: HashMap<String, usize>,
}

/// Offsets and options that objects are read with.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Offsets {
    compressed: bool,
    base: u64,
    shift: u32,
    layout_helper: u64,
    name: u64,
    super_check_offset: u64,
    secondary_super_cache: u64,
    primary_supers: u64,
    symbol_length: u64,
    symbol_body: u64,
    /// Offset in a `java.lang.Class` of its own size in words: static fields lie behind it.
    mirror_size: u64,
}

/// A class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Klass {
    pub(super) shape: Shape,
    /// Index of its name.
    pub(super) name: usize,
}

/// How long its objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many bytes.
    Instance(u64),
    /// The number of words is in the object, at this offset.
    Mirror(u64),
    /// Elements of `1 << log2` bytes follow a header of so many.
    Array { header: u64, log2: u32 },
}

impl Klasses {
    /// Finds out how objects refer to their classes.
    ///
    /// # Errors
    /// When the JVM does not say.
    pub(super) fn new(structs: &VmStructs, flags: &Flags, memory: &mut Memory) -> Result<Self, Unknown> {
        let base = structs.address(&[
            ("CompressedKlassPointers", "_base"),
            ("CompressedKlassPointers", "_narrow_klass._base"),
            ("Universe", "_narrow_klass._base"),
        ])?;
        let shift = structs.address(&[
            ("CompressedKlassPointers", "_shift"),
            ("CompressedKlassPointers", "_narrow_klass._shift"),
            ("Universe", "_narrow_klass._shift"),
        ])?;
        let mirror_size = structs.address(&[("java_lang_Class", "_oop_size_offset")])?;
        let field = |field| structs.offset(&[("Klass", field)]);
        let layout = Offsets {
            compressed: flags.compressed_class_pointers,
            base: memory.value(base)?,
            shift: memory.value::<u32>(shift)?,
            layout_helper: field("_layout_helper")?,
            name: field("_name")?,
            super_check_offset: field("_super_check_offset")?,
            secondary_super_cache: field("_secondary_super_cache")?,
            primary_supers: field("_primary_supers[0]")?,
            symbol_length: structs.offset(&[("Symbol", "_length")])?,
            symbol_body: structs.offset(&[("Symbol", "_body"), ("Symbol", "_body[0]")])?,
            mirror_size: memory.value::<u32>(mirror_size)?.into(),
        };
        if layout.shift > 10 || !(8..4096).contains(&layout.mirror_size) {
            return Err(Unknown::Layout("references to classes are not what they can be"));
        }
        Ok(Self::with(layout))
    }

    fn with(layout: Offsets) -> Self {
        let none = Klass {
            shape: Shape::Instance(0),
            name: 0,
        };
        Self {
            layout,
            known: HashMap::new(),
            recent: vec![(0, none); RECENT],
            names: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// Offset in an array of its length.
    pub(super) fn array_length(&self) -> usize {
        if self.layout.compressed { 12 } else { 16 }
    }

    /// Names, by [`Klass::name`].
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of an object, by its header; `None` when it is none.
    pub(super) fn of(&mut self, header: &[u8; 24], memory: &mut Memory) -> Option<Klass> {
        let word = if self.layout.compressed {
            u64::from(u32::from_le_bytes(*header[8..].first_chunk()?))
        } else {
            u64::from_le_bytes(*header[8..].first_chunk()?)
        };
        let slot = usize::try_from(word ^ (word >> 10)).unwrap_or(0) % self.recent.len();
        if let (recent, klass) = self.recent[slot]
            && recent == word
            && word != 0
        {
            return Some(klass);
        }
        let klass = match self.known.get(&word) {
            Some(known) => *known,
            None if self.known.len() >= MAX_KLASSES => None,
            None => {
                let klass = self.read(word, memory);
                self.known.insert(word, klass);
                klass
            }
        };
        self.recent[slot] = (word, klass?);
        klass
    }

    fn read(&mut self, word: u64, memory: &mut Memory) -> Option<Klass> {
        let layout = self.layout;
        let address = if layout.compressed {
            layout.base.checked_add(word << layout.shift)?
        } else {
            word
        };
        if word == 0 || !address.is_multiple_of(8) {
            return None;
        }
        let mut head = [0; HEAD];
        memory.read(address, &mut head).ok()?;
        let shape = layout.shape(address, &head)?;
        let symbol = number(&head, layout.name)?;
        let name = java_name(&layout.symbol(symbol, memory)?)?;
        let is_mirror = name == "java.lang.Class";
        let shape = match shape {
            Shape::Instance(_) if is_mirror => Shape::Mirror(layout.mirror_size),
            shape => shape,
        };
        let next = self.names.len();
        let name = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        });
        Some(Klass { shape, name })
    }
}

impl Offsets {
    /// How long objects of this class are; `None` when there is no class at this address.
    fn shape(&self, address: u64, head: &[u8; HEAD]) -> Option<Shape> {
        // A class stands in its own list of superclasses, unless it has too many of them.
        let check: u64 = half(head, self.super_check_offset)?.into();
        let depth = check.checked_sub(self.primary_supers);
        let is_primary = depth.is_some_and(|depth| depth < 64 && depth.is_multiple_of(8));
        let is_class = if is_primary {
            number(head, check)? == address
        } else {
            check == self.secondary_super_cache
        };
        if !is_class {
            return None;
        }
        let helper = half(head, self.layout_helper)?;
        if helper.cast_signed() > 0 {
            // Bit 0 says that instances are not made the short way; the rest is their size.
            let size = u64::from(helper & !7);
            return (size >= 16).then_some(Shape::Instance(size));
        }
        let header = u64::from(helper >> 16 & 0xff);
        let log2 = helper & 0x3f;
        let is_array = helper >> 31 == 1 && (16..=32).contains(&header) && log2 <= 3;
        is_array.then_some(Shape::Array { header, log2 })
    }

    fn symbol(&self, symbol: u64, memory: &mut Memory) -> Option<Vec<u8>> {
        let length = memory
            .cached::<u16>(symbol.checked_add(self.symbol_length)?)
            .ok()?;
        let mut name = vec![0; length.min(MAX_NAME).into()];
        memory
            .read(symbol.checked_add(self.symbol_body)?, &mut name)
            .ok()?;
        (length > 0).then_some(name)
    }
}

fn half(bytes: &[u8], at: u64) -> Option<u32> {
    let bytes = bytes.get(usize::try_from(at).ok()?..)?;
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

fn number(bytes: &[u8], at: u64) -> Option<u64> {
    let bytes = bytes.get(usize::try_from(at).ok()?..)?;
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

/// A class that is made up, for tests.
#[cfg(test)]
pub(super) mod made_up {
    use super::{Klasses, Offsets};

    pub(in super::super) const LAYOUT: Offsets = Offsets {
        compressed: false,
        base: 0,
        shift: 0,
        layout_helper: 8,
        name: 24,
        super_check_offset: 20,
        secondary_super_cache: 32,
        primary_supers: 48,
        symbol_length: 4,
        symbol_body: 6,
        mirror_size: 36,
    };

    /// A class in the memory of this test, for its lifetime: what an object of it has in its header.
    pub(in super::super) fn klass(name: &str, layout_helper: u32) -> u64 {
        let mut symbol = vec![0_u8; 6];
        symbol[4..6].copy_from_slice(&u16::try_from(name.len()).expect("short").to_le_bytes());
        symbol.extend(name.as_bytes());
        let klass: &'static mut [u64] = vec![0; 32].leak();
        let address = klass.as_ptr() as u64;
        klass[1] = layout_helper.into();
        klass[2] = 48 << 32;
        klass[3] = symbol.leak().as_ptr() as u64;
        klass[6] = address;
        address
    }

    pub(in super::super) fn klasses() -> Klasses {
        Klasses::with(LAYOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_one_that_names_itself() {
        let layout = made_up::LAYOUT;
        let mut head = [0; HEAD];
        head[8..12].copy_from_slice(&24_u32.to_le_bytes());
        head[20..24].copy_from_slice(&56_u32.to_le_bytes());
        assert_eq!(layout.shape(0x1000, &head), None);
        head[56..64].copy_from_slice(&0x1000_u64.to_le_bytes());
        assert_eq!(layout.shape(0x1000, &head), Some(Shape::Instance(24)));
        head[8..12].copy_from_slice(&0x8010_0a02_u32.to_le_bytes());
        let ints = Shape::Array { header: 16, log2: 2 };
        assert_eq!(layout.shape(0x1000, &head), Some(ints));
        head[8..12].copy_from_slice(&0x80ff_0a3f_u32.to_le_bytes());
        assert_eq!(layout.shape(0x1000, &head), None);
        head[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(layout.shape(0x1000, &head), None);
    }
}
