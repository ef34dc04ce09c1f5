//! The headers of an ELF file, and its sections one by one.
//!
//! Read with `pread` and never mapped: whoever owns the file may truncate it at any moment, and a mapping would answer that
//! with SIGBUS.

use std::{
    fs::{File, Metadata},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
};

use object::{
    LittleEndian,
    elf::{
        FileHeader64, NT_GNU_BUILD_ID, PT_LOAD, PT_TLS, ProgramHeader64, SHF_COMPRESSED, SHT_NOBITS,
        SHT_NOTE, SectionHeader64,
    },
    pod,
    read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _, SectionHeader as _},
};

use super::{reason::Reason, symbol_table::terminated};

pub(crate) type Section = SectionHeader64<LittleEndian>;
type Segment = ProgramHeader64<LittleEndian>;

/// The byte order of x86-64 and aarch64.
const ORDER: LittleEndian = LittleEndian;
/// Most sections that are looked at. A linked file has a few dozen.
const MAX_SECTIONS: usize = 4096;
/// Most program headers that are looked at. A linked file has about a dozen.
const MAX_SEGMENTS: usize = 64;
/// Longest table of section names, bytes.
const MAX_NAMES: usize = 1 << 20;
/// Longest name of a section, bytes; names may overlap.
const MAX_NAME: usize = 256;
/// Longest section of notes or debug link, bytes.
const MAX_NOTES: usize = 64 * 1024;
/// `NT_GO_BUILD_ID` of cmd/internal/buildid; its owner is `Go`.
const NT_GO_BUILD_ID: u32 = 4;

/// A 64-bit little-endian ELF file.
pub(crate) struct ElfFile {
    file: File,
    pub(crate) header: FileHeader64<LittleEndian>,
    pub(crate) sections: Vec<Section>,
    names: Vec<u8>,
}

/// A part of the file that is loaded into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadSegment {
    /// Where it is in the file.
    pub(crate) file: Range<u64>,
    /// Where the file wants its first byte.
    pub(crate) address: u64,
}

#[derive(Default)]
struct BuildIds {
    gnu: Option<Vec<u8>>,
    go: Option<Vec<u8>>,
}

/// What `.gnu_debuglink` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DebugLink {
    /// File name without a directory.
    pub(crate) name: String,
    /// CRC-32 of that whole file.
    pub(crate) crc: u32,
}

impl ElfFile {
    pub(crate) fn read(file: File) -> Result<Self, Reason> {
        let mut bytes = [0; size_of::<FileHeader64<LittleEndian>>()];
        read_at(&file, &mut bytes, 0).map_err(|_| Reason::NotElf)?;
        // A copy: the bytes on the stack need not be aligned.
        let (header, _) =
            pod::from_bytes::<FileHeader64<LittleEndian>>(&bytes).map_err(|()| Reason::NotElf)?;
        let header = *header;
        let ident = &header.e_ident;
        if ident.magic != object::elf::ELFMAG || ident.class != object::elf::ELFCLASS64 {
            return Err(Reason::NotElf);
        }
        if ident.data != object::elf::ELFDATA2LSB {
            return Err(Reason::NotElf);
        }
        let count = usize::from(header.e_shnum(ORDER));
        if count > MAX_SECTIONS
            || (count > 0 && usize::from(header.e_shentsize(ORDER)) != size_of::<Section>())
        {
            return Err(Reason::BrokenElf);
        }
        let mut table = vec![0; count * size_of::<Section>()];
        read_at(&file, &mut table, header.e_shoff(ORDER))?;
        let (sections, _) =
            pod::slice_from_bytes::<Section>(&table, count).map_err(|()| Reason::BrokenElf)?;
        let mut elf = Self {
            file,
            header,
            sections: sections.to_vec(),
            names: Vec::new(),
        };
        if let Some(&names) = elf.sections.get(usize::from(header.e_shstrndx(ORDER))) {
            elf.names = elf.data(&names, MAX_NAMES)?;
        }
        Ok(elf)
    }

    /// Which file it is.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// What is loaded into memory.
    ///
    /// # Errors
    /// When the file has no such table, or a broken one.
    pub(crate) fn load_segments(&self) -> Result<Vec<LoadSegment>, Reason> {
        let segments = self.segments()?;
        let loaded = segments.iter().filter(|segment| segment.p_type(ORDER) == PT_LOAD);
        let loaded = loaded.map(|segment| {
            let start = segment.p_offset(ORDER);
            LoadSegment {
                file: start..start.saturating_add(segment.p_filesz(ORDER)),
                address: segment.p_vaddr(ORDER),
            }
        });
        Ok(loaded.collect())
    }

    /// How much room its thread-local variables take in each thread, whole units of their alignment; `None` when it has none.
    pub(crate) fn thread_local_size(&self) -> Option<u64> {
        let segments = self.segments().ok()?;
        let segment = segments.iter().find(|segment| segment.p_type(ORDER) == PT_TLS)?;
        let alignment = segment.p_align(ORDER).max(1);
        segment.p_memsz(ORDER).checked_next_multiple_of(alignment)
    }

    fn segments(&self) -> Result<Vec<Segment>, Reason> {
        let count = usize::from(self.header.e_phnum(ORDER));
        if count > MAX_SEGMENTS || usize::from(self.header.e_phentsize(ORDER)) != size_of::<Segment>() {
            return Err(Reason::BrokenElf);
        }
        let mut table = vec![0; count * size_of::<Segment>()];
        read_at(&self.file, &mut table, self.header.e_phoff(ORDER))?;
        let (segments, _) =
            pod::slice_from_bytes::<Segment>(&table, count).map_err(|()| Reason::BrokenElf)?;
        Ok(segments.to_vec())
    }

    /// A section's name; empty when it has none, or one that is too long.
    pub(crate) fn name(&self, section: &Section) -> &[u8] {
        let from = usize::try_from(section.sh_name(ORDER)).unwrap_or(usize::MAX);
        terminated(&self.names, from, MAX_NAME)
    }

    /// The first section of that name that has contents in this file.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| self.name(section) == name.as_bytes() && section.sh_type(ORDER) != SHT_NOBITS)
    }

    /// A section's bytes as they are in the file, at most `limit` of them.
    pub(crate) fn data(&self, section: &Section, limit: usize) -> Result<Vec<u8>, Reason> {
        let size = usize::try_from(section.sh_size(ORDER)).unwrap_or(usize::MAX);
        if size > limit {
            return Err(Reason::TooLarge);
        }
        // Before the memory is taken: a header can claim what the file does not have.
        if section.sh_offset(ORDER).saturating_add(size as u64) > self.file.metadata()?.len() {
            return Err(Reason::BrokenElf);
        }
        let mut bytes = vec![0; size];
        read_at(&self.file, &mut bytes, section.sh_offset(ORDER))?;
        Ok(bytes)
    }

    /// Fills `buffer` with a section's bytes from `offset` on, as far as there are any; returns how many.
    pub(crate) fn read_section(
        &self,
        section: &Section,
        offset: u64,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let left = section.sh_size(ORDER).saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let at = section.sh_offset(ORDER).saturating_add(offset);
        self.file.read_exact_at(&mut buffer[..length], at)?;
        Ok(length)
    }

    /// What lies at an address of a section when the program starts: zeros where the file has no contents for it (`.bss`).
    pub(crate) fn initial(&self, section: &Section, address: u64, buffer: &mut [u8]) -> Result<(), Reason> {
        let offset = address.wrapping_sub(section.sh_addr(ORDER));
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > section.sh_size(ORDER)) {
            return Err(Reason::BrokenElf);
        }
        if section.sh_type(ORDER) == SHT_NOBITS {
            buffer.fill(0);
            return Ok(());
        }
        let at = section.sh_offset(ORDER).checked_add(offset);
        Ok(read_at(&self.file, buffer, at.ok_or(Reason::BrokenElf)?)?)
    }

    /// `NT_GNU_BUILD_ID`, or Go's build id where there is no such note.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        let BuildIds { gnu, go } = self.build_ids();
        gnu.or(go)
    }

    /// Whether it is the file of which a mapping showed this. Since 1.24 Go's linker writes both notes and maps only its own.
    pub(crate) fn is_build(&self, id: Option<&[u8]>) -> bool {
        let BuildIds { gnu, go } = self.build_ids();
        match id {
            Some(id) => gnu.as_deref() == Some(id) || go.as_deref() == Some(id),
            None => gnu.is_none() && go.is_none(),
        }
    }

    fn build_ids(&self) -> BuildIds {
        let mut found = BuildIds::default();
        for section in &self.sections {
            if section.sh_type(ORDER) != SHT_NOTE || section.sh_flags(ORDER) & u64::from(SHF_COMPRESSED) != 0
            {
                continue;
            }
            let Ok(bytes) = self.data(section, MAX_NOTES) else {
                continue;
            };
            let notes =
                NoteIterator::<FileHeader64<LittleEndian>>::new(ORDER, section.sh_addralign(ORDER), &bytes);
            let Ok(mut notes) = notes else {
                continue;
            };
            while let Ok(Some(note)) = notes.next() {
                let id = match (note.name(), note.n_type(ORDER)) {
                    (b"GNU", NT_GNU_BUILD_ID) => &mut found.gnu,
                    (b"Go", NT_GO_BUILD_ID) => &mut found.go,
                    _ => continue,
                };
                id.get_or_insert_with(|| note.desc().to_vec());
            }
        }
        found
    }

    /// The link to a file with debug information.
    pub(crate) fn debug_link(&self) -> Option<DebugLink> {
        let bytes = self.data(self.section(".gnu_debuglink")?, MAX_NOTES).ok()?;
        let length = bytes.iter().position(|&byte| byte == 0)?;
        let name = str::from_utf8(&bytes[..length]).ok()?;
        let crc = bytes.get((length + 1).next_multiple_of(4)..)?.first_chunk()?;
        let is_plain = !name.is_empty() && !name.contains('/');
        is_plain.then(|| DebugLink {
            name: name.to_owned(),
            crc: u32::from_le_bytes(*crc),
        })
    }

    /// Whether the file has contents for a section that says where functions or lines are.
    pub(crate) fn has_debug_information(&self) -> bool {
        self.section(".debug_info").is_some()
    }

    pub(crate) fn has_symbol_table(&self) -> bool {
        self.section(".symtab").is_some()
    }

    /// CRC-32 of the whole file, when it is not longer than `limit`.
    pub(crate) fn crc(&self, limit: u64) -> io::Result<Option<u32>> {
        if self.file.metadata()?.len() > limit {
            return Ok(None);
        }
        let (mut crc, mut at, mut buffer) = (flate2::Crc::new(), 0, vec![0; 64 * 1024]);
        while at < limit {
            match self.file.read_at(&mut buffer, at)? {
                0 => break,
                read => {
                    crc.update(&buffer[..read]);
                    at += read as u64;
                }
            }
        }
        Ok(Some(crc.sum()))
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(buffer, at)
}
