//! What unwinding needs of an ELF file: where its code lies, who it is, where its unwind tables are.
//!
//! Files belong to whoever is watched. They are read with `pread`, never mapped: a file that is truncated while it is mapped
//! raises SIGBUS in the reader. Sizes that a header claims are checked before anything is allocated.

use std::{fs::File, io};

use object::{
    LittleEndian, Pod,
    elf::{
        ELFCLASS64, ELFDATA2LSB, ELFMAG, FileHeader64, NT_GNU_BUILD_ID, PF_X, PT_GNU_EH_FRAME, PT_LOAD,
        PT_NOTE, ProgramHeader64, SectionHeader64,
    },
    pod,
    read::elf::NoteIterator,
};

use super::exports::{Exports, Hashes};

/// Most bytes of an `.eh_frame`; the largest known to us (a browser) has 12 MiB.
const MAX_EH_FRAME: u64 = 32 << 20;
/// Most entries of the program header table, and of the section header table.
const MAX_HEADERS: u16 = 256;
/// Most bytes of a note segment, and of the section names.
const MAX_NOTES: u64 = 64 << 10;
/// Longest build id. GNU's have 20 bytes, Go's about 83.
const MAX_BUILD_ID: usize = 128;
/// Addresses that a file may state end here: nothing in user space lies above.
const MAX_ADDRESS: u64 = 1 << 56;
/// Type of the note `Go` that holds Go's build id (cmd/internal/buildid).
const NT_GO_BUILD_ID: u32 = 4;
/// Section of Go's table of functions; there even where the build id was left out.
const GO_TABLE: &[u8] = b".gopclntab\0";
/// How the linker encodes the address of `.eh_frame` in `.eh_frame_hdr`: relative to the field, 4 bytes signed.
const PCREL_SDATA4: u8 = 0x1b;

/// Bytes that can be read at any offset.
pub(super) trait ReadAt {
    /// Fills `buffer` or fails.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A part of the file that the loader maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Segment {
    /// First byte in the file.
    offset: u64,
    /// Bytes in the file.
    size: u64,
    /// Where the file says it belongs.
    address: u64,
    executable: bool,
}

/// Where `.eh_frame` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EhFrame {
    offset: u64,
    size: u64,
    address: u64,
}

/// The headers of an ELF file for a 64-bit little-endian machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// GNU's build id, else Go's.
    pub(super) build_id: Option<Box<[u8]>>,
    pub(super) segments: Box<[Segment]>,
    /// Linked by Go's linker: its code keeps frame pointers and has no unwind tables.
    pub(super) is_go: bool,
    /// What it exports.
    pub(super) exports: Option<Exports>,
    eh_frame: Option<EhFrame>,
}

/// An `.eh_frame` and the address that the file states for it.
pub(super) struct UnwindSection {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

impl Elf {
    /// Nothing when this is no such file.
    pub(super) fn read(file: &(impl ReadAt + ?Sized)) -> Option<Self> {
        let header: FileHeader64<LittleEndian> = record(file, 0)?;
        let ident = &header.e_ident;
        if ident.magic != ELFMAG || ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB {
            return None;
        }
        let programs: Vec<ProgramHeader64<LittleEndian>> = records(
            file,
            header.e_phoff.get(LittleEndian),
            header.e_phnum.get(LittleEndian),
            header.e_phentsize.get(LittleEndian),
        )?;
        let segments: Box<[Segment]> = programs.iter().filter_map(segment).collect();
        let notes = notes(file, &programs);
        let sections = Sections::read(file, &header);
        let eh_frame = sections.as_ref().and_then(Sections::eh_frame);
        Some(Self {
            exports: sections.as_ref().and_then(Sections::exports),
            is_go: notes.go.is_some() || sections.is_some_and(|sections| sections.find(GO_TABLE).is_some()),
            build_id: notes.gnu.or(notes.go),
            eh_frame: eh_frame.or_else(|| eh_frame_by_segment(file, &programs, &segments)),
            segments,
        })
    }

    /// The address that the file states for the code at `offset` bytes into it.
    pub(super) fn code_address(&self, offset: u64) -> Option<u64> {
        let covers =
            |segment: &&Segment| segment.executable && offset.wrapping_sub(segment.offset) < segment.size;
        let segment = self.segments.iter().find(covers)?;
        Some(segment.address + (offset - segment.offset))
    }

    /// The lowest address that the file states.
    pub(super) fn base(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.address)
            .min()
            .unwrap_or(0)
    }

    /// Reads `.eh_frame`; nothing when there is none, or one that is too large or not all there.
    pub(super) fn unwind_section(&self, file: &(impl ReadAt + ?Sized)) -> Option<UnwindSection> {
        let section = self.eh_frame?;
        Some(UnwindSection {
            address: section.address,
            bytes: bytes(file, section.offset, section.size, MAX_EH_FRAME)?,
        })
    }
}

fn segment(program: &ProgramHeader64<LittleEndian>) -> Option<Segment> {
    let segment = Segment {
        offset: program.p_offset.get(LittleEndian),
        size: program.p_filesz.get(LittleEndian),
        address: program.p_vaddr.get(LittleEndian),
        executable: program.p_flags.get(LittleEndian) & PF_X != 0,
    };
    let end = segment.address.checked_add(segment.size)?;
    let is_sane = end <= MAX_ADDRESS && segment.offset.checked_add(segment.size).is_some();
    (is_sane && program.p_type.get(LittleEndian) == PT_LOAD).then_some(segment)
}

/// Build ids.
#[derive(Default)]
struct Notes {
    gnu: Option<Box<[u8]>>,
    go: Option<Box<[u8]>>,
}

fn notes(file: &(impl ReadAt + ?Sized), programs: &[ProgramHeader64<LittleEndian>]) -> Notes {
    let mut found = Notes::default();
    for program in programs
        .iter()
        .filter(|program| program.p_type.get(LittleEndian) == PT_NOTE)
    {
        let size = program.p_filesz.get(LittleEndian);
        let Some(notes) = bytes(file, program.p_offset.get(LittleEndian), size, MAX_NOTES) else {
            continue;
        };
        let align = program.p_align.get(LittleEndian);
        let Ok(mut notes) = NoteIterator::<FileHeader64<LittleEndian>>::new(LittleEndian, align, &notes)
        else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            let id = note.desc();
            if id.is_empty() || id.len() > MAX_BUILD_ID {
                continue;
            }
            match (note.name(), note.n_type(LittleEndian)) {
                (b"GNU", NT_GNU_BUILD_ID) => found.gnu = Some(id.into()),
                (b"Go", NT_GO_BUILD_ID) => found.go = Some(id.into()),
                _ => {}
            }
        }
    }
    found
}

/// The section headers, of a file that was not stripped of them.
struct Sections {
    headers: Vec<SectionHeader64<LittleEndian>>,
    names: Vec<u8>,
}

impl Sections {
    fn read(file: &(impl ReadAt + ?Sized), header: &FileHeader64<LittleEndian>) -> Option<Self> {
        let headers: Vec<SectionHeader64<LittleEndian>> = records(
            file,
            header.e_shoff.get(LittleEndian),
            header.e_shnum.get(LittleEndian),
            header.e_shentsize.get(LittleEndian),
        )?;
        let names = headers.get(usize::from(header.e_shstrndx.get(LittleEndian)))?;
        let size = names.sh_size.get(LittleEndian);
        let names = bytes(file, names.sh_offset.get(LittleEndian), size, MAX_NOTES)?;
        Some(Self { headers, names })
    }

    /// The section whose name ends so; `end` ends with a NUL. Go's table is `.data.rel.ro.gopclntab` in some files.
    fn find(&self, end: &[u8]) -> Option<&SectionHeader64<LittleEndian>> {
        self.headers.iter().find(|header| {
            let name = self.names.get(header.sh_name.get(LittleEndian) as usize..);
            let name = name.and_then(|name| name.split_inclusive(|&byte| byte == 0).next());
            name.is_some_and(|name| name.ends_with(end))
        })
    }

    fn exports(&self) -> Option<Exports> {
        let offset = |name: &[u8]| Some(self.find(name)?.sh_offset.get(LittleEndian));
        Some(Exports {
            hashes: match offset(b".gnu.hash\0") {
                Some(hashes) => Hashes::Gnu(hashes),
                None => Hashes::SystemV(offset(b".hash\0")?),
            },
            symbols: offset(b".dynsym\0")?,
            names: offset(b".dynstr\0")?,
        })
    }

    fn eh_frame(&self) -> Option<EhFrame> {
        let section = self.find(b".eh_frame\0")?;
        checked(EhFrame {
            offset: section.sh_offset.get(LittleEndian),
            size: section.sh_size.get(LittleEndian),
            address: section.sh_addr.get(LittleEndian),
        })
    }
}

/// Without section headers `.eh_frame_hdr` says where `.eh_frame` begins, and the segment around it where it ends at the
/// latest; a terminator ends it in fact.
fn eh_frame_by_segment(
    file: &(impl ReadAt + ?Sized),
    programs: &[ProgramHeader64<LittleEndian>],
    segments: &[Segment],
) -> Option<EhFrame> {
    let header = programs
        .iter()
        .find(|program| program.p_type.get(LittleEndian) == PT_GNU_EH_FRAME)?;
    let mut start = [0; 8];
    file.read_exact_at(header.p_offset.get(LittleEndian), &mut start)
        .ok()?;
    let [1, PCREL_SDATA4, _, _, distance @ ..] = start else {
        return None;
    };
    let field = header.p_vaddr.get(LittleEndian).checked_add(4)?;
    let address = field.checked_add_signed(i64::from(i32::from_le_bytes(distance)))?;
    let segment = segments
        .iter()
        .find(|segment| address.wrapping_sub(segment.address) < segment.size)?;
    let skipped = address - segment.address;
    checked(EhFrame {
        offset: segment.offset + skipped,
        size: (segment.size - skipped).min(MAX_EH_FRAME),
        address,
    })
}

fn checked(section: EhFrame) -> Option<EhFrame> {
    let end = section.address.checked_add(section.size)?;
    (section.size > 0 && end <= MAX_ADDRESS).then_some(section)
}

fn record<T: Pod>(file: &(impl ReadAt + ?Sized), offset: u64) -> Option<T> {
    records(file, offset, 1, u16::try_from(size_of::<T>()).ok()?)?.pop()
}

fn records<T: Pod>(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
    count: u16,
    record_size: u16,
) -> Option<Vec<T>> {
    if count > MAX_HEADERS || usize::from(record_size) != size_of::<T>() {
        return None;
    }
    let mut buffer = vec![0; usize::from(count) * size_of::<T>()];
    file.read_exact_at(offset, &mut buffer).ok()?;
    let (records, _) = pod::slice_from_bytes::<T>(&buffer, usize::from(count)).ok()?;
    Some(records.to_vec())
}

fn bytes(file: &(impl ReadAt + ?Sized), offset: u64, size: u64, limit: u64) -> Option<Vec<u8>> {
    if size > limit {
        return None;
    }
    // The last byte first: a header that claims more than the file holds costs no memory.
    let last = offset.checked_add(size.checked_sub(1)?)?;
    file.read_exact_at(last, &mut [0]).ok()?;
    let mut buffer = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(offset, &mut buffer).ok()?;
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Elf, ReadAt as _};

    fn own_file() -> Vec<u8> {
        std::fs::read("/proc/self/exe").expect("own executable")
    }

    #[test]
    fn the_tables_are_found_without_section_headers_too() {
        let mut file = own_file();
        let with = Elf::read(&*file).expect("ELF");
        let section = with.unwind_section(&*file).expect(".eh_frame");
        // e_shnum
        file[60..62].fill(0);
        let without = Elf::read(&*file).expect("ELF");
        let longer = without.unwind_section(&*file).expect(".eh_frame");
        assert_eq!(longer.address, section.address);
        assert!(
            longer
                .bytes
                .starts_with(&section.bytes[..section.bytes.len() - 4])
        );
    }

    #[test]
    fn an_address_in_the_file_is_the_address_that_it_states() {
        let file = own_file();
        let elf = Elf::read(&*file).expect("ELF");
        let code = elf
            .segments
            .iter()
            .find(|segment| segment.executable)
            .expect("code");
        assert_eq!(elf.code_address(code.offset + 5), Some(code.address + 5));
        assert_eq!(elf.code_address(code.offset + code.size), None);
        assert_eq!(elf.code_address(u64::MAX), None);
    }

    #[test]
    fn a_claimed_size_costs_no_memory() {
        let file = own_file();
        assert!(super::bytes(&*file, 0, 10 << 30, super::MAX_EH_FRAME).is_none());
        assert!(super::bytes(&*file, file.len() as u64 - 4, 5, super::MAX_EH_FRAME).is_none());
        assert!(super::bytes(&*file, u64::MAX, 5, super::MAX_EH_FRAME).is_none());
        assert!((*file).read_exact_at(u64::MAX - 1, &mut [0; 8]).is_err());
    }

    #[test]
    fn every_broken_header_byte_is_survived() {
        let mut file = own_file();
        let right_elf = Elf::read(&*file).expect("ELF");
        // File header and program headers.
        for index in 0..64 + 56 * 16 {
            for broken in [0, 0x7f, 0xff, file[index] ^ 1] {
                let right = std::mem::replace(&mut file[index], broken);
                if let Some(elf) = Elf::read(&*file)
                    && elf != right_elf
                {
                    let _ = elf.code_address(0x1000);
                    if elf.eh_frame != right_elf.eh_frame {
                        let _ = elf.unwind_section(&*file);
                    }
                }
                file[index] = right;
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512), offset in any::<u64>()) {
            let mut file = b"\x7fELF\x02\x01\x01".to_vec();
            file.extend(bytes);
            if let Some(elf) = Elf::read(&*file) {
                let _ = elf.code_address(offset);
                let _ = elf.unwind_section(&*file);
            }
        }
    }
}
