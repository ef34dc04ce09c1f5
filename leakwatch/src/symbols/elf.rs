//! Names from an ELF file's symbol tables and DWARF, by blazesym.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use blazesym::symbolize::{
    CodeInfo, Input, Symbolized, Symbolizer,
    source::{Elf, Source},
};

use super::{
    demangle::{name, shown},
    elf_file::ElfFile,
    outline::{Extent, Outline},
    reason::Reason,
};
use crate::model::stack::Function;

/// Most bytes of symbol tables of one file, bytes. node has 10 MB of them.
const MAX_SYMBOLS: usize = 64 << 20;
/// Most bytes of symbol tables and unpacked DWARF of one file; with more, functions keep their names and lose their lines.
const MAX_DEBUG_INFORMATION: usize = 128 << 20;

/// The names in one file.
pub(super) struct ElfSymbols {
    symbolizer: Symbolizer,
    source: Source<'static>,
    /// The same file without its DWARF.
    tables: Option<Source<'static>>,
    /// Keeps the path in `source` alive.
    outline: Outline,
}

impl ElfSymbols {
    /// Copies what names code out of a file.
    pub(super) fn read(elf: &ElfFile) -> Result<Self, Reason> {
        let has_debug_information = elf.has_debug_information();
        let whole = has_debug_information
            .then(|| Outline::copy(elf, Extent::DebugInformation, MAX_DEBUG_INFORMATION).ok())
            .flatten();
        let has_debug_information = whole.is_some();
        let outline = match whole {
            Some(outline) => outline,
            None => Outline::copy(elf, Extent::Symbols, MAX_SYMBOLS)?,
        };
        let source = |debug_syms| {
            let mut elf = Elf::new(outline.path());
            elf.debug_syms = debug_syms;
            Source::Elf(elf)
        };
        let symbolizer = Symbolizer::builder()
            // A copy does not change.
            .enable_auto_reload(false)
            // Both are done here, within bounds: demangling and finding debug files.
            .enable_demangling(false)
            .set_debug_dirs(Some(<[&Path; 0]>::default()))
            .build();
        Ok(Self {
            symbolizer,
            source: source(has_debug_information),
            tables: has_debug_information.then(|| source(false)),
            outline,
        })
    }

    /// The functions at an address as the ELF file states it, innermost first.
    pub(super) fn find(&self, address: u64) -> Result<Box<[Function]>, Reason> {
        // blazesym computes the address after it.
        if address == u64::MAX {
            return Err(Reason::NotCovered);
        }
        let found = self.find_in(&self.source, address);
        match &self.tables {
            // Broken DWARF does not take the symbol tables with it.
            Some(tables) if found.is_err() => self.find_in(tables, address),
            _ => found,
        }
    }

    fn find_in(&self, source: &Source<'_>, address: u64) -> Result<Box<[Function]>, Reason> {
        let look_up = || {
            self.symbolizer
                .symbolize_single(source, Input::VirtOffset(address))
        };
        // blazesym is careful, but not written for hostile input: sums of what a file states overflow.
        let Ok(found) = catch_unwind(AssertUnwindSafe(look_up)) else {
            return Err(Reason::BrokenElf);
        };
        let symbol = match found {
            Ok(Symbolized::Sym(symbol)) if !symbol.name.is_empty() => symbol,
            Ok(Symbolized::Unknown(blazesym::symbolize::Reason::MissingSyms)) => {
                return Err(Reason::NoSymbols);
            }
            Ok(_) => return Err(Reason::NotCovered),
            Err(_) => return Err(Reason::BrokenElf),
        };
        let inlined = symbol.inlined.iter().rev();
        let inlined = inlined.map(|inlined| function(&inlined.name, inlined.code_info.as_ref()));
        let outer = function(&symbol.name, symbol.code_info.as_deref());
        Ok(inlined.chain([outer]).collect())
    }

    /// Bytes of the copy.
    pub(super) fn bytes(&self) -> u64 {
        self.outline.bytes
    }
}

fn function(raw: &str, place: Option<&CodeInfo<'_>>) -> Function {
    Function {
        name: name(raw),
        file: place.map(|place| shown(&place.to_path().to_string_lossy())),
        line: place.and_then(|place| place.line),
    }
}
