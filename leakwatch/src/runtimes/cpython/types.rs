//! Type objects: how large their objects are, and what they are called.

use super::{
    process::{Process, type_of},
    text,
};
use crate::{model::sanitize, runtimes::memory::Memory, target_memory::TargetMemory as _};

/// `PyTypeObject`, the same in all versions.
const NAME: u64 = 24;
const BASIC_SIZE: u64 = 32;
const FLAGS: u64 = 168;
const DICT: u64 = 264;
/// `Py_TPFLAGS_HEAPTYPE`, `_HAVE_GC`, `_LIST_SUBCLASS`, `_TUPLE_SUBCLASS`
const HEAP_TYPE: u64 = 1 << 9;
const HAVE_GC: u64 = 1 << 14;
const LIST: u64 = 1 << 25;
const TUPLE: u64 = 1 << 26;
/// No object is larger, without its items.
const MAX_BASIC_SIZE: u64 = 1 << 20;

/// `PyDictObject.ma_keys`
const KEYS: u64 = 32;
/// `PyDictKeysObject`: `dk_size`, since 3.11 `dk_log2_size` and two bytes more; and its end, until 3.10 and since.
const KEYS_SIZE: u64 = 8;
const KEYS_END: (u64, u64) = (40, 32);
/// `__module__` is one of the first entries: the compiler puts it there.
const FIRST_ENTRIES: u64 = 8;

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    /// Of an object, its items and what it refers to aside; bytes.
    pub(super) basic_size: u64,
    /// Which word after `PyObject` is the number of items there is room for; `None` where that is not known.
    pub(super) items: Option<usize>,
    /// Made while the program runs, by Python or by an extension.
    is_made: bool,
}

impl Type {
    /// `None` when there is no type, or none whose objects are tracked.
    pub(super) fn read(process: &Process, memory: &mut Memory, address: u64) -> Option<Self> {
        let mut word = |offset: u64| memory.value::<u64>(address.wrapping_add(offset)).ok();
        let (basic_size, flags) = (word(BASIC_SIZE)?, word(FLAGS)?);
        if flags & HAVE_GC == 0 || basic_size > MAX_BASIC_SIZE {
            return None;
        }
        // Its own type is `type`, or one that is of that type, or ...
        let mut meta = type_of(memory, address)?;
        for _ in 0..4 {
            if meta == process.type_type {
                return Some(Self {
                    basic_size,
                    items: match flags & (LIST | TUPLE) {
                        // `PyListObject.allocated`, `PyTupleObject.ob_size`
                        LIST => Some(2),
                        TUPLE => Some(0),
                        _ => None,
                    },
                    is_made: flags & HEAP_TYPE != 0,
                });
            }
            meta = type_of(memory, meta)?;
        }
        None
    }
}

/// What a type is called: `module.Type`; without the module in `__main__` and among what is built in. Control characters are
/// replaced.
pub(super) fn name(process: &Process, memory: &mut Memory, address: u64, found: &Type) -> String {
    let plain = memory
        .value(address.wrapping_add(NAME))
        .and_then(|name| memory.text(name));
    let plain = plain.map_or_else(|_| format!("type at {address:#x}"), |name| sanitize::text(&name));
    if !found.is_made {
        return plain;
    }
    let qualified = memory
        .value(address.wrapping_add(process.layout.heap_type_qualname))
        .and_then(|name| text::read(memory, name, process.layout.ascii_size));
    match (module(process, memory, address), qualified) {
        (Some(module), Ok(name)) if module == "__main__" || module == "builtins" => name,
        (Some(module), Ok(name)) => format!("{module}.{name}"),
        // `tp_name` of a type made in C has the module in it.
        (None, Ok(name)) if !plain.contains('.') => name,
        _ => plain,
    }
}

/// The text under `__module__` in the dictionary of a class.
fn module(process: &Process, memory: &mut Memory, class: u64) -> Option<String> {
    let dict: u64 = memory.value(class.wrapping_add(DICT)).ok()?;
    let keys: u64 = memory.value(dict.wrapping_add(KEYS)).ok()?;
    let (entries, size, key_at) = entries(process.layout.minor, memory, keys)?;
    (0..FIRST_ENTRIES).find_map(|index| {
        let entry = entries.checked_add(index * size)? + key_at;
        let [key, value]: [u64; 2] = memory.value(entry).ok()?;
        if key == 0 || value == 0 {
            return None;
        }
        let ascii_size = process.layout.ascii_size;
        let is_it = text::read(memory, key, ascii_size).ok()? == "__module__";
        is_it
            .then(|| text::read(memory, value, ascii_size).ok())
            .flatten()
    })
}

/// Where the entries of a dictionary begin, how large one is, and where in it the key is, which the value follows.
fn entries(minor: u32, memory: &mut Memory, keys: u64) -> Option<(u64, u64, u64)> {
    let (indices, of_general) = if minor < 11 {
        let slots: u64 = memory.value(keys.wrapping_add(KEYS_SIZE)).ok()?;
        // An index is as many bytes wide as it takes to count the slots.
        let width = match slots {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => return None,
        };
        (KEYS_END.0 + slots * width, true)
    } else {
        let [_, log2_index_bytes, kind]: [u8; 3] = memory.value(keys.wrapping_add(KEYS_SIZE)).ok()?;
        if log2_index_bytes > 32 {
            return None;
        }
        // DICT_KEYS_GENERAL keeps hashes, the others do not.
        (KEYS_END.1 + (1 << log2_index_bytes), kind == 0)
    };
    let (size, key) = if of_general { (24, 8) } else { (16, 0) };
    Some((keys.checked_add(indices)?, size, key))
}
