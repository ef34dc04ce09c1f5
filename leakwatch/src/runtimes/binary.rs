//! A file that a process maps: its sections, and its symbols as addresses in that process.

use std::{cell::OnceCell, fs::File, io, ops::Range};

use object::{
    LittleEndian,
    elf::{SHT_DYNSYM, SHT_SYMTAB},
    read::elf::{SectionHeader as _, Sym as _},
};

use super::target::Mapping;
use crate::symbols::{
    elf_file::{ElfFile, Section},
    symbol_table::SymbolTable,
};

const ORDER: LittleEndian = LittleEndian;

/// An ELF file as one process maps it.
pub(super) struct Binary {
    elf: ElfFile,
    /// What is added to the addresses in the file; wraps.
    bias: u64,
    tables: OnceCell<Vec<SymbolTable>>,
}

/// A symbol that is defined in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DefinedSymbol<'a> {
    pub(super) name: &'a [u8],
    /// Address in the process; of a thread-local one its offset in the thread's block instead.
    pub(super) address: u64,
    pub(super) size: u64,
}

impl Binary {
    /// Reads the headers. `mappings` are those of this file in the process.
    ///
    /// # Errors
    /// When it is no ELF file, or nothing of it is mapped.
    pub(super) fn read(file: File, mappings: &[Mapping]) -> io::Result<Self> {
        let elf = ElfFile::read(file).map_err(|reason| io::Error::other(reason.text()))?;
        let segments = elf
            .load_segments()
            .map_err(|reason| io::Error::other(reason.text()))?;
        // Where the file's bytes are mapped, against where the file wants them.
        let bias = mappings.iter().find_map(|mapping| {
            let segment = segments
                .iter()
                .find(|segment| segment.file.contains(&mapping.offset))?;
            let address = segment.address + (mapping.offset - segment.file.start);
            Some(mapping.start.wrapping_sub(address))
        });
        Ok(Self {
            elf,
            bias: bias.ok_or(io::ErrorKind::NotFound)?,
            tables: OnceCell::new(),
        })
    }

    /// What is added to addresses in the file to have those in the process; wraps.
    pub(super) fn bias(&self) -> u64 {
        self.bias
    }

    /// The file itself.
    pub(super) fn elf(&self) -> &ElfFile {
        &self.elf
    }

    /// The symbol of that name.
    pub(super) fn symbol(&self, name: &str) -> Option<DefinedSymbol<'_>> {
        self.symbols().find(|symbol| symbol.name == name.as_bytes())
    }

    /// Every symbol that is defined here, those of the dynamic table first. The tables are read at the first call.
    pub(super) fn symbols(&self) -> impl Iterator<Item = DefinedSymbol<'_>> {
        let tables = self.tables.get_or_init(|| {
            [SHT_DYNSYM, SHT_SYMTAB]
                .into_iter()
                .filter_map(|kind| SymbolTable::read(&self.elf, kind))
                .collect()
        });
        tables.iter().flat_map(|table| {
            table.defined().map(|(name, symbol)| {
                let value = symbol.st_value(ORDER);
                let is_thread_local = symbol.st_type() == object::elf::STT_TLS;
                DefinedSymbol {
                    name,
                    address: if is_thread_local {
                        value
                    } else {
                        value.wrapping_add(self.bias)
                    },
                    size: symbol.st_size(ORDER),
                }
            })
        })
    }

    /// Where a section is in the process, whether it has contents in the file or not (`.bss`).
    pub(super) fn section(&self, name: &str) -> Option<Range<u64>> {
        let is_it = |section: &&Section| self.elf.name(section) == name.as_bytes();
        let section = self.elf.sections.iter().find(is_it)?;
        let start = section.sh_addr(ORDER).wrapping_add(self.bias);
        Some(start..start.checked_add(section.sh_size(ORDER))?)
    }

    /// Contents of a section as they are in the file, at most `limit` bytes.
    pub(super) fn section_data(&self, name: &str, limit: usize) -> Option<Vec<u8>> {
        self.elf.data(self.elf.section(name)?, limit).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::{process_stat, runtimes::target::Target};

    #[test]
    fn symbols_and_sections_are_where_the_process_has_them() {
        static MARK: u64 = 0x1234;
        let target = Target::open(process_stat::own()).expect("alive");
        let binary = target.executable().expect("readable");
        let data = binary.section(".rodata").expect("every program has it");
        assert!(data.contains(&(&raw const MARK as u64)));
        let libc = target
            .mapped_file(|name| name.starts_with("libc.so"))
            .expect("mapped");
        let libc = target.binary(libc).expect("readable");
        let malloc = libc.symbol("malloc").expect("exported");
        assert_eq!(malloc.address, libc::malloc as *const () as u64);
        assert!(malloc.size > 0 && binary.symbol("no such symbol").is_none());
    }
}
