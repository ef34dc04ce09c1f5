//! Types as objects and methods refer to them (`methodtable.h`).

use std::collections::HashMap;

use super::metadata::Metadata;
use crate::target_memory::TargetMemory;

/// Bits of the first word: it is followed by elements, whose size is in the lower half; it is an array.
const HAS_ELEMENTS: u64 = 1 << 31;
const CATEGORY: u64 = 0xc_0000;
const ARRAY: u64 = 0x8_0000;
/// In the lower half of a type without elements: it is made of a generic one.
const GENERIC: u64 = 0x30;
/// Bits of the third half word: there is a slot that says of which module it is, and all slots before that one.
const HAS_MODULE: u64 = 0x10;
const SLOTS_BEFORE: u64 = 0x0f;
/// Where things are, bytes.
const MODULE: u64 = 0x18;
const CANONICAL: u64 = 0x28;
const SLOTS: u64 = 0x30;
const VIRTUALS: u64 = 0x40;
const MODULE_NAME: u64 = 8;
/// Marks the address of a description, and the kinds of one that is an array.
const DESCRIPTION: u64 = 2;
const ARRAYS: [u64; 2] = [0x14, 0x1d];
/// Slots that lie in the type itself; the others lie behind the pieces of the table of virtual methods, of 8 each.
const INNER_SLOTS: u64 = 2;
const PIECE: u64 = 8;
/// An array of arrays of so many.
const MAX_DEPTH: usize = 4;
/// Modules that are remembered.
const MAX_MODULES: usize = 1024;
/// Pages of one process that are looked at for metadata: 4 GiB. Many times what assemblies have, with those that are met again.
const MAX_PAGES: u64 = 1 << 20;

/// How large the objects of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes without elements, with the word before the object.
    pub(crate) base: u64,
    /// Bytes of an element, if it has some.
    pub(crate) element: Option<u64>,
    /// It fills a hole in the heap: elements of one byte, and no array.
    pub(crate) is_free: bool,
}

impl Shape {
    /// By the first word of a type.
    pub(crate) fn of(word: u64) -> Self {
        let element = (word & HAS_ELEMENTS != 0).then_some(word & 0xffff);
        Self {
            base: word >> 32,
            element,
            is_free: element == Some(1) && word & CATEGORY != ARRAY,
        }
    }
}

/// What a type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ArrayOf(u64),
    Other,
}

impl Kind {
    /// An array in an array may be a description instead of a type, which the lowest bits say (`typedesc.h`).
    fn of(handle: u64, memory: &mut impl TargetMemory) -> Option<Self> {
        if handle & 3 == DESCRIPTION {
            let [kind, _, argument] = memory.words(handle - DESCRIPTION).ok()?;
            return ARRAYS.contains(&(kind & 0xff)).then_some(Self::ArrayOf(argument));
        }
        let word = memory.word(handle).ok()?;
        if word & HAS_ELEMENTS == 0 || word & CATEGORY != ARRAY {
            return Some(Self::Other);
        }
        memory.word(handle.checked_add(SLOTS)?).ok().map(Self::ArrayOf)
    }
}

/// The assemblies of one process that were met.
#[derive(Debug)]
pub(crate) struct Types {
    modules: HashMap<u64, Option<Metadata>>,
    /// Pages that may still be looked at for metadata.
    pages: u64,
}

impl Default for Types {
    fn default() -> Self {
        Self {
            modules: HashMap::new(),
            pages: MAX_PAGES,
        }
    }
}

impl Types {
    /// `Shop.Orders+Line`, `System.Byte[]`.
    pub(crate) fn name(&mut self, table: u64, memory: &mut impl TargetMemory) -> Option<String> {
        let mut brackets = String::new();
        let mut handle = table;
        for _ in 0..MAX_DEPTH {
            if let Kind::ArrayOf(element) = Kind::of(handle, memory)? {
                brackets += "[]";
                handle = element;
            } else {
                let row = type_row(handle, memory)?;
                let module = module(handle, memory)?;
                let name = self.metadata(module, memory)?.type_name(row, memory)?;
                return Some(name + &brackets);
            }
        }
        None
    }

    /// `Shop.Orders.Place`: a method of a type, by the number of its row.
    pub(crate) fn method_name(
        &mut self,
        table: u64,
        method: u32,
        memory: &mut impl TargetMemory,
    ) -> Option<String> {
        let row = type_row(table, memory)?;
        let module = module(table, memory)?;
        let metadata = self.metadata(module, memory)?;
        let of = metadata.type_name(row, memory)?;
        let name = metadata.method_name(method, memory)?;
        Some(format!("{of}.{name}"))
    }

    fn metadata(&mut self, module: u64, memory: &mut impl TargetMemory) -> Option<&Metadata> {
        if !self.modules.contains_key(&module) {
            if self.pages == 0 {
                return None;
            }
            if self.modules.len() >= MAX_MODULES {
                self.modules.clear();
            }
            let found = self.look_for(module, memory);
            self.modules.insert(module, found);
        }
        self.modules.get(&module)?.as_ref()
    }

    fn look_for(&mut self, module: u64, memory: &mut impl TargetMemory) -> Option<Metadata> {
        let name = memory.word(module.checked_add(MODULE_NAME)?).ok()?;
        let text = memory.text(name).ok()?;
        let is_name = !text.is_empty() && !text.iter().any(u8::is_ascii_control);
        is_name
            .then(|| Metadata::around(name, &mut self.pages, memory))
            .flatten()
    }

    /// Memory of all that, bytes.
    pub(crate) fn size(&self) -> usize {
        self.modules.len() * size_of::<(u64, Option<Metadata>)>()
    }
}

/// The number of its row in the metadata.
fn type_row(table: u64, memory: &mut impl TargetMemory) -> Option<u32> {
    let word = memory.word(table.checked_add(8)?).ok()?;
    u32::try_from(word >> 16 & 0xffff).ok().filter(|&row| row > 0)
}

/// Where the module of a type is. A type that is made of a generic one may belong to who asked for it: the generic one's is
/// said by the one that stands for all that share its code.
fn module(table: u64, memory: &mut impl TargetMemory) -> Option<u64> {
    let mut table = table;
    let word = memory.word(table).ok()?;
    if word & HAS_ELEMENTS == 0 && word & GENERIC != 0 {
        let canonical = memory.word(table.checked_add(CANONICAL)?).ok()?;
        if canonical & 3 == 2 {
            table = canonical - 2;
        }
    }
    let flags = memory.word(table.checked_add(8)?).ok()?;
    let at = if flags & HAS_MODULE == 0 {
        MODULE
    } else {
        let before = u64::from((flags & SLOTS_BEFORE).count_ones());
        let pieces = (flags >> 32 & 0xffff).div_ceil(PIECE);
        match before.checked_sub(INNER_SLOTS) {
            None => SLOTS + before * 8,
            Some(outer) => VIRTUALS + (pieces + outer) * 8,
        }
    };
    memory
        .word(table.checked_add(at)?)
        .ok()
        .filter(|&module| module != 0)
}

#[cfg(test)]
mod tests;
