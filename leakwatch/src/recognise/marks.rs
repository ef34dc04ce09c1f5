//! Which of a few symbols a file defines, without keeping its tables.

use std::{collections::HashMap, ops::ControlFlow};

use object::{
    LittleEndian,
    elf::{SHN_UNDEF, STT_TLS, Sym64},
    pod,
    read::elf::{SectionHeader as _, Sym as _},
};

use super::pieces;
use crate::symbols::elf_file::{ElfFile, Section};

const ORDER: LittleEndian = LittleEndian;
const SYMBOL: usize = size_of::<Sym64<LittleEndian>>();
/// Most places in a table of names that are remembered. A linked file has each of a few dozen names once.
const MAX_OFFSETS: usize = 4096;

/// A symbol that a file defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Address that the file wants; of a thread-local one its offset in the thread's block.
    pub(super) address: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Index of its section.
    section: usize,
    is_thread_local: bool,
}

impl Mark {
    /// The first bytes of a variable as they are in the file, at most `limit`; `None` when it has none there.
    pub(super) fn bytes(&self, elf: &ElfFile, limit: usize) -> Option<Vec<u8>> {
        let section = elf.sections.get(self.section)?;
        let offset = self.address.checked_sub(section.sh_addr(ORDER))?;
        if self.is_thread_local || section.sh_type(ORDER) == object::elf::SHT_NOBITS {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(self.size).ok()?.min(limit)];
        let read = elf.read_section(section, offset, &mut bytes).ok()?;
        (read == bytes.len() && read > 0).then_some(bytes)
    }
}

/// Those of `wanted` that are defined in the symbol table of this kind (`SHT_DYNSYM`, `SHT_SYMTAB`).
pub(super) fn defined(elf: &ElfFile, kind: u32, wanted: &[&'static str]) -> HashMap<&'static str, Mark> {
    let mut marks = HashMap::new();
    let table = elf.sections.iter().find(|section| section.sh_type(ORDER) == kind);
    let Some(table) = table else { return marks };
    let names = usize::try_from(table.sh_link(ORDER))
        .ok()
        .and_then(|index| elf.sections.get(index));
    let offsets = names.map(|names| offsets(elf, names, wanted)).unwrap_or_default();
    if offsets.is_empty() {
        return marks;
    }
    pieces::each(elf, table, 0, |_, bytes| {
        for symbol in bytes.chunks_exact(SYMBOL) {
            let Ok((symbol, _)) = pod::from_bytes::<Sym64<LittleEndian>>(symbol) else {
                continue;
            };
            let section = symbol.st_shndx(ORDER);
            if section == SHN_UNDEF {
                continue;
            }
            if let Some(name) = offsets.get(&symbol.st_name(ORDER)) {
                marks.insert(
                    *name,
                    Mark {
                        address: symbol.st_value(ORDER),
                        size: symbol.st_size(ORDER),
                        section: section.into(),
                        is_thread_local: symbol.st_type() == STT_TLS,
                    },
                );
            }
        }
        ControlFlow::Continue(())
    });
    marks
}

/// Where `wanted` are in a table of names. Linkers keep one that ends like another inside it.
fn offsets(elf: &ElfFile, names: &Section, wanted: &[&'static str]) -> HashMap<u32, &'static str> {
    let longest = wanted.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut found = HashMap::new();
    pieces::each(elf, names, longest + 1, |at, bytes| {
        add_offsets(&mut found, at, bytes, wanted);
        if found.len() < MAX_OFFSETS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    found
}

/// Adds those of a piece that begins at `at`, as long as there are not too many.
fn add_offsets(found: &mut HashMap<u32, &'static str>, at: u64, bytes: &[u8], wanted: &[&'static str]) {
    let mut start = 0;
    for name in bytes.split_inclusive(|&byte| byte == 0) {
        let end = start + name.len() - 1;
        start += name.len();
        let Some(name) = name.strip_suffix(b"\0") else {
            continue;
        };
        for wanted in wanted {
            if name.ends_with(wanted.as_bytes())
                && found.len() < MAX_OFFSETS
                && let Ok(offset) = u32::try_from(at + (end - wanted.len()) as u64)
            {
                found.insert(offset, *wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_end_so_are_found_at_the_end() {
        let mut found = HashMap::new();
        let names = b"\0je_mallctl\0main\0mallctl\0mall";
        add_offsets(&mut found, 100, names, &["mallctl", "je_mallctl"]);
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, [(101, "je_mallctl"), (104, "mallctl"), (117, "mallctl")]);
    }

    #[test]
    fn a_name_that_is_repeated_without_end_takes_little_memory() {
        let mut found = HashMap::new();
        for piece in 0..8 {
            let names = b"mallctl\0".repeat(MAX_OFFSETS / 4);
            add_offsets(&mut found, piece * names.len() as u64, &names, &["mallctl"]);
        }
        assert_eq!(found.len(), MAX_OFFSETS);
    }
}
