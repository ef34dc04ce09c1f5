//! The layout of V8's objects, from the `v8dbg_*` symbols of its binary.

use std::{collections::HashMap, fs::File};

use object::{
    LittleEndian,
    elf::{SHT_DYNSYM, SHT_SYMTAB, Sym64},
    read::elf::Sym as _,
};

use super::inlined::{self, CodeLayout};
use crate::symbols::{elf_file::ElfFile, symbol_table::SymbolTable};

const ORDER: LittleEndian = LittleEndian;
/// Most symbols of metadata that are kept; V8 has about 500.
const MAX_SYMBOLS: usize = 4096;
const PREFIX: &[u8] = b"v8dbg_";
/// `v8::internal::Version`'s numbers: the symbol's end says which.
const VERSION: &[(&str, &str)] = &[
    ("major", "_ZN2v88internal7Version6major_E"),
    ("minor", "_ZN2v88internal7Version6minor_E"),
    ("build", "_ZN2v88internal7Version6build_E"),
    ("patch", "_ZN2v88internal7Version6patch_E"),
];
/// Types of functions: `JS_FUNCTION_TYPE`, those of arrays, promises and so on, and at last those of classes, in
/// the versions that do not say (V8 10.2 to 11.8, `src/objects/js-function.tq`).
const FUNCTION_TYPES: u16 = 16;

/// Why the layout is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    /// The binary does not say.
    #[error("its binary has no v8dbg_{0}")]
    Missing(&'static str),
    /// It says something else than what leakwatch reads: compressed pointers, as in Electron and Chrome.
    #[error("its v8dbg_{0} is {1}")]
    Other(&'static str, i32),
    /// There is no table of symbols, or a broken one.
    #[error("its binary has no symbols")]
    NoSymbols,
}

/// Where the parts of objects are, bytes from the beginning of an object, and how types are numbered.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// V8's own version, `11.3.244.8`; `None` when the binary does not say.
    pub(crate) version: Option<String>,
    pub(crate) types: Types,
    pub(crate) strings: Strings,
    pub(crate) function: FunctionLayout,
    pub(crate) script: ScriptLayout,
    pub(crate) map: MapLayout,
    /// Of a frame's frame pointer: its context, and the function that runs in it.
    pub(crate) frame_context: i64,
    pub(crate) frame_function: i64,
    /// From the beginning of a `BytecodeArray` to its bytecodes, where the binary says.
    pub(crate) bytecodes: Option<u64>,
    /// The first type of what a program makes, and not V8 for itself.
    pub(crate) first_object: u16,
    /// Code of the optimising compilers, of versions that are known.
    pub(crate) code: Option<CodeLayout>,
    /// Names of classes by instance type, sorted by it.
    pub(crate) classes: Vec<(u16, Box<str>)>,
}

/// Instance types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Types {
    pub(crate) map: u16,
    pub(crate) script: u16,
    pub(crate) scope_info: u16,
    pub(crate) shared_function_info: u16,
    pub(crate) fixed_array: u16,
    /// First and last of functions.
    pub(crate) functions: (u16, u16),
    /// First and last of contexts.
    pub(crate) contexts: (u16, u16),
}

/// How strings are told apart, and where their parts are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strings {
    pub(crate) first_other_type: u16,
    pub(crate) representation_mask: u16,
    pub(crate) sequential: u16,
    pub(crate) cons: u16,
    pub(crate) sliced: u16,
    pub(crate) thin: u16,
    pub(crate) encoding_mask: u16,
    pub(crate) one_byte: u16,
    pub(crate) length: u64,
    pub(crate) chars: u64,
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) parent: u64,
    pub(crate) offset: u64,
    pub(crate) actual: u64,
}

/// `JSFunction`, `SharedFunctionInfo`, `ScopeInfo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunctionLayout {
    pub(crate) shared: u64,
    pub(crate) name_or_scope_info: u64,
    pub(crate) script: u64,
    /// Slots of a `ScopeInfo`: how many locals of the context there are, and where their names begin.
    pub(crate) local_count: usize,
    pub(crate) first_local: usize,
}

/// `Script`, `FixedArray`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScriptLayout {
    pub(crate) name: u64,
    pub(crate) source: u64,
    pub(crate) line_ends: u64,
    pub(crate) array_length: u64,
    pub(crate) array_data: u64,
}

/// `Map`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapLayout {
    pub(crate) instance_type: u64,
    pub(crate) size_in_words: u64,
    pub(crate) constructor: u64,
}

impl Layout {
    /// Reads it from a binary's file.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub(crate) fn of_file(file: File) -> Result<Self, Unknown> {
        Self::read(&ElfFile::read(file).map_err(|_| Unknown::NoSymbols)?)
    }

    /// Reads it from a binary.
    ///
    /// # Errors
    /// When the binary does not say all of it, or says something that leakwatch cannot read.
    pub(crate) fn read(elf: &ElfFile) -> Result<Self, Unknown> {
        let exported = SymbolTable::read(elf, SHT_DYNSYM);
        let symbols = exported.or_else(|| SymbolTable::read(elf, SHT_SYMTAB));
        let symbols = symbols.ok_or(Unknown::NoSymbols)?;
        let is_wanted = |name: &[u8]| {
            name.starts_with(PREFIX) || VERSION.iter().any(|(_, symbol)| name == symbol.as_bytes())
        };
        let wanted = symbols.defined().filter(|(name, _)| is_wanted(name));
        let values = wanted.take(MAX_SYMBOLS).filter_map(|(name, symbol)| {
            let name = String::from_utf8(name.to_vec()).ok()?;
            Some((name, initial(elf, symbol)?))
        });
        Self::of(&values.collect())
    }

    /// The layout that these symbols state.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub(crate) fn of(values: &HashMap<String, i32>) -> Result<Self, Unknown> {
        let values = Values(values);
        for (name, expected) in [
            ("SmiTag", 0),
            ("SmiTagMask", 1),
            ("SmiShiftSize", 31),
            ("HeapObjectTag", 1),
            ("HeapObjectTagMask", 3),
            ("TaggedSize", 8),
            ("class_HeapObject__map__Map", 0),
        ] {
            let value = values.signed(&[name])?;
            if value != expected {
                return Err(Unknown::Other(name, value));
            }
        }
        let version = values.version();
        Ok(Self {
            code: version.as_deref().and_then(inlined::layout),
            version,
            bytecodes: values.offset(&["class_BytecodeArray__data__uintptr_t"]).ok(),
            first_object: values.number(&["type_JSProxy__JS_PROXY_TYPE"])?,
            types: values.types()?,
            strings: values.strings()?,
            function: FunctionLayout {
                shared: values.offset(&["class_JSFunction__shared__SharedFunctionInfo"])?,
                name_or_scope_info: values.offset(&[
                    "class_SharedFunctionInfo__name_or_scope_info__Object",
                    "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
                    "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_",
                ])?,
                script: values.offset(&[
                    "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
                    "class_SharedFunctionInfo__script__Tagged_HeapObject_",
                ])?,
                local_count: values.slot("scopeinfo_idx_ncontextlocals")?,
                first_local: values.slot("scopeinfo_idx_first_vars")?,
            },
            script: ScriptLayout {
                name: values.offset(&["class_Script__name__Object"])?,
                source: values.offset(&["class_Script__source__Object"])?,
                line_ends: values.offset(&["class_Script__line_ends__Object"])?,
                array_length: values.offset(&["class_FixedArrayBase__length__SMI"])?,
                array_data: values.offset(&["class_FixedArray__data__uintptr_t"])?,
            },
            map: MapLayout {
                instance_type: values.offset(&["class_Map__instance_type__uint16_t"])?,
                size_in_words: values.offset(&["class_Map__instance_size_in_words__char"])?,
                constructor: values.offset(&[
                    "class_Map__constructor_or_back_pointer__Object",
                    "class_Map__constructor_or_back_pointer__Tagged_Object_",
                ])?,
            },
            frame_context: values.signed(&["off_fp_context"])?.into(),
            frame_function: values.signed(&["off_fp_function"])?.into(),
            classes: values.classes(),
        })
    }

    /// Whether a type without a name is one of those that follow `FixedArray` and are laid out like it.
    pub(crate) fn is_kind_of_array(&self, instance_type: u16) -> bool {
        let array = self.types.fixed_array;
        let next = self.classes.iter().find(|(number, _)| *number > array);
        instance_type > array && next.is_some_and(|(next, _)| instance_type < *next)
    }

    /// V8's name for the class of an instance type.
    pub(crate) fn class(&self, instance_type: u16) -> Option<&str> {
        let at = self
            .classes
            .binary_search_by_key(&instance_type, |(number, _)| *number);
        Some(&*self.classes.get(at.ok()?)?.1)
    }
}

/// What a symbol's 4 bytes are when the program starts.
fn initial(elf: &ElfFile, symbol: &Sym64<LittleEndian>) -> Option<i32> {
    let section = elf.sections.get(usize::from(symbol.st_shndx(ORDER)))?;
    let mut bytes = [0; 4];
    elf.initial(section, symbol.st_value(ORDER), &mut bytes).ok()?;
    Some(i32::from_le_bytes(bytes))
}

struct Values<'a>(&'a HashMap<String, i32>);

impl Values<'_> {
    /// The first of these names that is there: a name has the type of the C++ field in it, and that has changed.
    fn signed(&self, names: &[&'static str]) -> Result<i32, Unknown> {
        let mut found = names
            .iter()
            .filter_map(|name| self.0.get(&format!("v8dbg_{name}")).copied());
        let first = names.first().copied().unwrap_or_default();
        found.next().ok_or(Unknown::Missing(first))
    }

    /// An offset into an object: not before it, and not far behind its beginning.
    fn offset(&self, names: &[&'static str]) -> Result<u64, Unknown> {
        let value = self.signed(names)?;
        let first = names.first().copied().unwrap_or_default();
        u8::try_from(value)
            .map(u64::from)
            .map_err(|_| Unknown::Other(first, value))
    }

    fn slot(&self, name: &'static str) -> Result<usize, Unknown> {
        let slot = self.offset(&[name])?;
        usize::try_from(slot).map_err(|_| Unknown::Missing(name))
    }

    fn number(&self, names: &[&'static str]) -> Result<u16, Unknown> {
        let value = self.signed(names)?;
        let first = names.first().copied().unwrap_or_default();
        u16::try_from(value).map_err(|_| Unknown::Other(first, value))
    }

    fn types(&self) -> Result<Types, Unknown> {
        let function = self.number(&["type_JSFunction__JS_FUNCTION_TYPE"])?;
        let first = self.number(&["FirstJSFunctionType"]);
        let last = self.number(&["LastJSFunctionType"]);
        Ok(Types {
            map: self.number(&["type_Map__MAP_TYPE"])?,
            script: self.number(&["type_Script__SCRIPT_TYPE"])?,
            scope_info: self.number(&["type_ScopeInfo__SCOPE_INFO_TYPE"])?,
            shared_function_info: self.number(&["type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE"])?,
            fixed_array: self.number(&["type_FixedArray__FIXED_ARRAY_TYPE"])?,
            functions: match (first, last) {
                (Ok(first), Ok(last)) => (first, last),
                _ => (function, function.saturating_add(FUNCTION_TYPES - 1)),
            },
            contexts: (
                self.number(&["FirstContextType"])?,
                self.number(&["LastContextType"])?,
            ),
        })
    }

    fn strings(&self) -> Result<Strings, Unknown> {
        Ok(Strings {
            first_other_type: self.number(&["FirstNonstringType"])?,
            representation_mask: self.number(&["StringRepresentationMask"])?,
            sequential: self.number(&["SeqStringTag"])?,
            cons: self.number(&["ConsStringTag"])?,
            sliced: self.number(&["SlicedStringTag"])?,
            thin: self.number(&["ThinStringTag"])?,
            encoding_mask: self.number(&["StringEncodingMask"])?,
            one_byte: self.number(&["OneByteStringTag"])?,
            length: self.offset(&["class_String__length__int32_t"])?,
            chars: self.offset(&["class_SeqOneByteString__chars__char"])?,
            first: self.offset(&["class_ConsString__first__String"])?,
            second: self.offset(&["class_ConsString__second__String"])?,
            parent: self.offset(&["class_SlicedString__parent__String"])?,
            offset: self.offset(&["class_SlicedString__offset__SMI"])?,
            actual: self.offset(&["class_ThinString__actual__String"])?,
        })
    }

    fn version(&self) -> Option<String> {
        let number = |(_, symbol): &(&str, &str)| self.0.get(*symbol).map(i32::to_string);
        let numbers: Option<Vec<String>> = VERSION.iter().map(number).collect();
        numbers.map(|numbers| numbers.join("."))
    }

    /// `v8dbg_type_Script__SCRIPT_TYPE`.
    fn classes(&self) -> Vec<(u16, Box<str>)> {
        let class = |(name, &number): (&String, &i32)| {
            let class = name.strip_prefix("v8dbg_type_")?.split("__").next()?;
            Some((u16::try_from(number).ok()?, Box::from(class)))
        };
        let mut classes: Vec<_> = self.0.iter().filter_map(class).collect();
        classes.sort();
        classes.dedup_by_key(|(number, _)| *number);
        classes
    }
}
