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
/// Longest name, bytes. Those that are looked for are far shorter, and names may overlap: without a limit, a table of some MB
/// would be TB of names.
const MAX_NAME: usize = 512;

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

    /// Empty when it has none, or one that is too long.
    fn name(&self, symbol: &Sym64<LittleEndian>) -> &[u8] {
        let from = usize::try_from(symbol.st_name(ORDER)).unwrap_or(usize::MAX);
        terminated(&self.names, from, MAX_NAME)
    }
}

/// The bytes from there up to a NUL; empty when none of the first `limit` bytes is one.
pub(super) fn terminated(bytes: &[u8], from: usize, limit: usize) -> &[u8] {
    let rest = bytes.get(from..).unwrap_or_default();
    let rest = &rest[..rest.len().min(limit)];
    let end = rest.iter().position(|&byte| byte == 0);
    end.map_or(&[], |end| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::terminated;

    #[test]
    fn names_end_or_are_none() {
        let names = b"\0main\0without_end";
        assert_eq!(terminated(names, 1, 8), b"main");
        assert_eq!(terminated(names, 3, 8), b"in");
        assert_eq!(terminated(names, 1, 5), b"main");
        assert_eq!(terminated(names, 1, 4), b"", "too long");
        for none in [0, 6, 17, 18, usize::MAX] {
            assert_eq!(terminated(names, none, 64), b"", "{none}");
        }
    }
}
