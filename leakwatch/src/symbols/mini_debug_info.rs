//! `.gnu_debugdata`: the symbol table of the functions that a stripped library does not export, packed with xz. Fedora and
//! its relatives ship it in every binary.

use std::{fs::File, io::Write as _};

use rustix::fs::{MemfdFlags, memfd_create};
use xz2::read::XzDecoder;

use super::{elf::ElfSymbols, elf_file::ElfFile, outline::bounded};

/// Longest section, bytes.
const MAX_PACKED: usize = 16 << 20;
/// Longest file in it, bytes.
const MAX_UNPACKED: usize = 64 << 20;

pub(super) fn read(elf: &ElfFile) -> Option<ElfSymbols> {
    let packed = elf.data(elf.section(".gnu_debugdata")?, MAX_PACKED).ok()?;
    let unpacked = bounded(XzDecoder::new(&*packed), MAX_UNPACKED).ok()?;
    let mut file = File::from(memfd_create("symbols", MemfdFlags::CLOEXEC).ok()?);
    file.write_all(&unpacked).ok()?;
    ElfSymbols::read(&ElfFile::read(file).ok()?).ok()
}
