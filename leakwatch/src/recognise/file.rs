//! What one ELF file is.

use std::{collections::HashMap, fmt::Write as _, fs::File, sync::Arc};

use object::elf::{SHT_DYNSYM, SHT_SYMTAB};

use super::{
    catalog::{ALLOCATORS, RUNTIMES},
    go,
    marks::{self, Mark},
    versions::Source,
};
use crate::{model::runtime, symbols::elf_file::ElfFile};

/// Longest build id, bytes. GNU's have 20, Go's about 83.
const MAX_BUILD_ID: usize = 128;

/// What an ELF file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileFacts {
    /// In hexadecimal digits: GNU's, else Go's.
    pub(super) build_id: Option<Arc<str>>,
    /// The runtime that is in it.
    pub(super) runtime: Option<Runtime>,
    /// The allocator that is in it.
    pub(super) allocator: Option<Allocator>,
}

/// A runtime that is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runtime {
    /// Its place in the order of the catalogue; Go comes first.
    pub(super) rank: usize,
    pub(super) name: &'static str,
    pub(super) version: Option<Arc<str>>,
}

/// What answers `malloc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    /// Its version, as it says itself.
    pub(crate) version: Option<Arc<str>>,
}

impl FileFacts {
    /// Reads a file that is mapped as `path`. What is no 64-bit ELF file says nothing.
    pub(super) fn read(file: File, path: &str) -> Self {
        let Ok(elf) = ElfFile::read(file) else {
            return Self::default();
        };
        let mut facts = Self {
            build_id: elf.build_id().as_deref().and_then(hexadecimal),
            ..Self::default()
        };
        if go::is_it(&elf) {
            facts.runtime = Some(Runtime {
                rank: 0,
                name: runtime::GO,
                version: go::version(&elf).map(Arc::from),
            });
            return facts;
        }
        let wanted = wanted();
        // What is not exported is asked for only where nothing else tells: tables of a program's own symbols are long.
        for kind in [SHT_DYNSYM, SHT_SYMTAB] {
            let marks = marks::defined(&elf, kind, &wanted);
            facts.runtime = runtime(&elf, &marks, path);
            facts.allocator = allocator(&elf, &marks, path);
            if facts.runtime.is_some() || facts.allocator.is_some() {
                break;
            }
        }
        facts
    }
}

fn wanted() -> Vec<&'static str> {
    let versions = RUNTIMES.iter().flat_map(|runtime| runtime.version);
    let runtimes = RUNTIMES.iter().flat_map(|runtime| runtime.symbols);
    let allocators = ALLOCATORS.iter().flat_map(|allocator| allocator.symbols);
    let versions = versions.flat_map(super::versions::VersionIn::symbols);
    runtimes.chain(allocators).chain(versions).copied().collect()
}

fn runtime(elf: &ElfFile, marks: &HashMap<&'static str, Mark>, path: &str) -> Option<Runtime> {
    let is_in = |symbols: &[&'static str]| symbols.iter().any(|symbol| marks.contains_key(symbol));
    let (index, runtime) = RUNTIMES
        .iter()
        .enumerate()
        .find(|(_, runtime)| is_in(runtime.symbols))?;
    let source = Source { elf, marks, path };
    Some(Runtime {
        rank: index + 1,
        name: runtime.name,
        version: runtime
            .version
            .iter()
            .find_map(|place| place.of(&source))
            .map(Arc::from),
    })
}

fn allocator(elf: &ElfFile, marks: &HashMap<&'static str, Mark>, path: &str) -> Option<Allocator> {
    let is_in = |symbols: &[&'static str]| symbols.iter().any(|symbol| marks.contains_key(symbol));
    let allocator = ALLOCATORS.iter().find(|allocator| is_in(allocator.symbols))?;
    let source = Source { elf, marks, path };
    Some(Allocator {
        name: allocator.name,
        version: allocator
            .version
            .iter()
            .find_map(|place| place.of(&source))
            .map(Arc::from),
    })
}

fn hexadecimal(id: &[u8]) -> Option<Arc<str>> {
    if id.len() > MAX_BUILD_ID {
        return None;
    }
    let mut digits = String::with_capacity(2 * id.len());
    for byte in id {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Some(digits.into())
}
