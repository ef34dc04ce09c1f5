//! A symbol table of a file, whole.

use object::{
    LittleEndian,
    elf::{SHN_UNDEF, Sym64},
    pod,
    read::elf::{SectionHeader as _, Sym as _},
};

use super::elf_file::ElfFile;

const ORDER: LittleEndian = LittleEndian;
/// Longest symbol table, and longest table of their names, bytes. Node's are 30 MB together.
const MAX_SYMBOLS: usize = 64 << 20;

/// All symbols of one kind of table.
pub(crate) struct SymbolTable {
    symbols: Vec<Sym64<LittleEndian>>,
    names: Vec<u8>,
}

impl SymbolTable {
    /// Reads the first table of a kind: `SHT_DYNSYM`, `SHT_SYMTAB`; nothing when there is none, or a broken one.
    pub(crate) fn read(elf: &ElfFile, kind: u32) -> Option<Self> {
        let section = elf
            .sections
            .iter()
            .find(|section| section.sh_type(ORDER) == kind)?;
        let names = usize::try_from(section.sh_link(ORDER)).ok()?;
        let names = elf.data(elf.sections.get(names)?, MAX_SYMBOLS).ok()?;
        let bytes = elf.data(section, MAX_SYMBOLS).ok()?;
        let symbols = bytes
            .chunks_exact(size_of::<Sym64<LittleEndian>>())
            .filter_map(|symbol| pod::from_bytes(symbol).ok().map(|(symbol, _)| *symbol));
        Some(Self {
            symbols: symbols.collect(),
            names,
        })
    }

    /// Those that are defined in the file, with their names.
    pub(crate) fn defined(&self) -> impl Iterator<Item = (&[u8], &Sym64<LittleEndian>)> {
        let defined = self
            .symbols
            .iter()
            .filter(|symbol| symbol.st_shndx(ORDER) != SHN_UNDEF);
        defined.map(|symbol| (self.name(symbol), symbol))
    }

    fn name(&self, symbol: &Sym64<LittleEndian>) -> &[u8] {
        let from = usize::try_from(symbol.st_name(ORDER)).unwrap_or(usize::MAX);
        let name = self.names.get(from..).unwrap_or_default();
        name.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}
