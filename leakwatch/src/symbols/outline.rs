//! The part of an ELF file that names code, in memory of our own.
//!
//! blazesym maps the file it is given, and a mapped file that its owner truncates kills the reader with SIGBUS: any user
//! could end the agent with a library of their own. It also unpacks sections and follows links to other files without a
//! bound. So it is given a copy in a memfd that holds section headers, symbol tables and, if wanted, the DWARF sections
//! that name functions and lines, unpacked here within a limit; links and everything else are left out. Nothing of a
//! container's file system stays open. A copy costs less than the look-ups it serves (libc with its debug file: 12 MB).

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
};

use flate2::read::ZlibDecoder;
use object::{
    LittleEndian, U16, U32, U64,
    elf::{
        CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_COMPRESSED, SHT_DYNSYM, SHT_NOBITS,
        SHT_NULL, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
    },
    pod::{self, bytes_of, bytes_of_slice},
    read::elf::SectionHeader as _,
};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{
    elf_file::{ElfFile, Section},
    reason::Reason,
};

const ORDER: LittleEndian = LittleEndian;

/// DWARF sections that say nothing about names and lines, and are most of the bytes.
const NOT_NEEDED: &[&[u8]] = &[
    b".debug_frame",
    b".debug_gnu_pubnames",
    b".debug_gnu_pubtypes",
    b".debug_loc",
    b".debug_loclists",
    b".debug_macinfo",
    b".debug_macro",
    b".debug_names",
    b".debug_pubnames",
    b".debug_pubtypes",
    b".debug_sup",
];

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Symbol tables.
    Symbols,
    /// Symbol tables, functions (inlined ones too) and lines.
    DebugInformation,
}

/// A copy.
#[derive(Debug)]
pub(super) struct Outline {
    file: File,
    /// Its length.
    pub(super) bytes: u64,
}

impl Outline {
    /// Copies what is wanted when it is not more than `limit` bytes, unpacked.
    pub(super) fn copy(elf: &ElfFile, extent: Extent, limit: usize) -> Result<Self, Reason> {
        let mut file = File::from(memfd_create("symbols", MemfdFlags::CLOEXEC)?);
        let mut sections = elf.sections.clone();
        let table = size_of_val(&elf.header);
        let mut end = table + size_of_val(sections.as_slice());
        for (at, section) in sections.iter_mut().enumerate() {
            // The first one is a placeholder. String tables keep their index: symbol tables link to them.
            let is_names = at == usize::from(elf.header.e_shstrndx.get(ORDER));
            if at == 0 || !(is_names || is_wanted(elf, section, extent)) {
                blank(section);
                continue;
            }
            let data = unpacked(elf, section, limit.saturating_sub(end))?;
            end = end.next_multiple_of(16);
            file.write_all_at(&data, end as u64)?;
            section.sh_offset = U64::new(ORDER, end as u64);
            section.sh_size = U64::new(ORDER, data.len() as u64);
            let flags = section.sh_flags(ORDER) & !u64::from(SHF_COMPRESSED);
            section.sh_flags = U64::new(ORDER, flags);
            end += data.len();
        }
        let mut header = elf.header;
        header.e_phoff = U64::new(ORDER, 0);
        header.e_phnum = U16::new(ORDER, 0);
        header.e_shoff = U64::new(ORDER, table as u64);
        file.write_all(bytes_of(&header))?;
        file.write_all(bytes_of_slice(&sections))?;
        Ok(Self {
            file,
            bytes: end as u64,
        })
    }

    /// A path under which this process can open it while this value lives.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

fn is_wanted(elf: &ElfFile, section: &Section, extent: Extent) -> bool {
    let name = elf.name(section);
    match section.sh_type(ORDER) {
        SHT_SYMTAB | SHT_DYNSYM | SHT_STRTAB | SHT_SYMTAB_SHNDX => true,
        SHT_NOBITS => false,
        _ => {
            extent == Extent::DebugInformation && name.starts_with(b".debug_") && !NOT_NEEDED.contains(&name)
        }
    }
}

fn blank(section: &mut Section) {
    section.sh_name = U32::new(ORDER, 0);
    section.sh_type = U32::new(ORDER, SHT_NULL);
    section.sh_flags = U64::new(ORDER, 0);
    section.sh_offset = U64::new(ORDER, 0);
    section.sh_size = U64::new(ORDER, 0);
}

/// A section's bytes, decompressed; [`Reason::TooLarge`] above the limit, whatever the headers claim.
fn unpacked(elf: &ElfFile, section: &Section, limit: usize) -> Result<Vec<u8>, Reason> {
    let data = elf.data(section, limit)?;
    if section.sh_flags(ORDER) & u64::from(SHF_COMPRESSED) == 0 {
        return Ok(data);
    }
    let size = size_of::<CompressionHeader64<LittleEndian>>();
    let (header, packed) = data.split_at_checked(size).ok_or(Reason::BrokenElf)?;
    let (header, _) =
        pod::from_bytes::<CompressionHeader64<LittleEndian>>(header).map_err(|()| Reason::BrokenElf)?;
    match header.ch_type.get(ORDER) {
        ELFCOMPRESS_ZLIB => bounded(ZlibDecoder::new(packed), limit),
        ELFCOMPRESS_ZSTD => bounded(zstd::Decoder::with_buffer(packed)?, limit),
        _ => Err(Reason::BrokenElf),
    }
}

/// Reads all there is, and no more than the limit.
pub(super) fn bounded(source: impl Read, limit: usize) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    let mut source = source.take(limit as u64 + 1);
    source
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::OutOfMemory => Reason::TooLarge,
            _ => Reason::BrokenElf,
        })?;
    if bytes.len() > limit {
        Err(Reason::TooLarge)
    } else {
        Ok(bytes)
    }
}
