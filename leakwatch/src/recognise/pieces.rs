//! A section read piece by piece: those of a large program are longer than the agent wants to be.

use std::ops::ControlFlow;

use object::{LittleEndian, elf::SHT_NOBITS, read::elf::SectionHeader as _};

use crate::symbols::elf_file::{ElfFile, Section};

/// Bytes that are looked at together.
const PIECE: usize = 256 << 10;
/// Most bytes of one section that are read. Node's longest has 47 MiB.
const MAX_SECTION: u64 = 128 << 20;

/// Gives the bytes of a section to `look`, a piece after the other, each beginning with the last `overlap` bytes of the one
/// before; with the offset of the piece's first byte in the section. Ends when `look` says so, or where the file does.
pub(super) fn each(
    elf: &ElfFile,
    section: &Section,
    overlap: usize,
    mut look: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) {
    let size = section.sh_size(LittleEndian).min(MAX_SECTION);
    if section.sh_type(LittleEndian) == SHT_NOBITS || overlap >= PIECE {
        return;
    }
    let mut buffer = vec![0; PIECE];
    let (mut kept, mut at) = (0, 0);
    while at < size {
        let Ok(read @ 1..) = elf.read_section(section, at, &mut buffer[kept..]) else {
            return;
        };
        let filled = kept + read;
        if look(at - kept as u64, &buffer[..filled]).is_break() {
            return;
        }
        at += read as u64;
        kept = overlap.min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
}
