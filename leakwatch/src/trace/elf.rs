//! What a trace needs of an ELF file: functions by name, and their first bytes.
//!
//! The file belongs to whoever is watched. It is read with `pread`, never mapped, and nothing larger than [`MOST_BYTES`] at once.

use std::{fs::File, os::unix::fs::FileExt as _};

use object::{
    Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache, ReadRef, SymbolKind,
    read::elf::ElfFile64,
};

use super::entry::CODE_BYTES;

/// Largest table that is read. The symbols of a browser with all its debug information have about 100 MiB.
const MOST_BYTES: u64 = 256 << 20;

/// A function that the file defines.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    /// Of its first instruction, in the file.
    pub(super) offset: u64,
    /// Its first bytes.
    pub(super) code: Vec<u8>,
}

/// What there is to know of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// Whether the Go linker made it.
    pub(super) is_go: bool,
    /// Whether it has a symbol table beside the one for the dynamic linker.
    pub(super) has_symbols: bool,
    /// The functions that were asked for, each address once.
    pub(super) functions: Vec<Function>,
}

/// Reads it; `None` when it is no ELF file of this machine's word size, or broken.
pub(super) fn read(file: &File, wanted: &dyn Fn(&str) -> bool) -> Option<Contents> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<object::Endianness, _>::parse(Capped(&cache)).ok()?;
    let section = |name: &[u8]| elf.sections().any(|section| section.name_bytes() == Ok(name));
    let mut contents = Contents {
        is_go: section(b".go.buildinfo") || section(b".gopclntab"),
        has_symbols: elf.symbols().next().is_some(),
        functions: Vec::new(),
    };
    let segments: Vec<(u64, u64, u64)> = elf
        .segments()
        .map(|segment| (segment.address(), segment.file_range().0, segment.file_range().1))
        .collect();
    for symbol in elf.dynamic_symbols().chain(elf.symbols()) {
        if symbol.kind() != SymbolKind::Text || !symbol.is_definition() {
            continue;
        }
        let Some(name) = symbol.name().ok().filter(|name| wanted(name)) else {
            continue;
        };
        let address = symbol.address();
        let Some(offset) = segments.iter().find_map(|&(start, offset, size)| {
            let inside = address.checked_sub(start).filter(|&inside| inside < size)?;
            offset.checked_add(inside)
        }) else {
            continue;
        };
        if contents.functions.iter().any(|known| known.offset == offset) {
            continue;
        }
        let size = match symbol.size() {
            0 => CODE_BYTES,
            size => CODE_BYTES.min(usize::try_from(size).unwrap_or(CODE_BYTES)),
        };
        let mut code = vec![0; size];
        if file.read_exact_at(&mut code, offset).is_ok() {
            contents.functions.push(Function {
                name: name.to_owned(),
                offset,
                code,
            });
        }
    }
    Some(contents)
}

/// Refuses reads of more than is sensible, whatever a header claims.
#[derive(Clone, Copy)]
struct Capped<'a>(&'a ReadCache<&'a File>);

impl<'a> ReadRef<'a> for Capped<'a> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size > MOST_BYTES {
            return Err(());
        }
        self.0.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: std::ops::Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.0.read_bytes_at_until(range, delimiter)
    }
}
