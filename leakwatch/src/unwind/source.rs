//! Reads what is behind a mapping.

use std::io;

use super::{
    Image,
    address_space::{Backing, Mapping},
    cfi::Tables,
    elf::Elf,
    file::FoundFile,
    threads::{MAX_STACK, read_memory},
};
use crate::model::sanitize;

/// Reads the unwind tables through a mapping; nothing when there are none.
pub(super) fn tables(image: Image, mapping: &Mapping, elf: &Elf) -> io::Result<Option<Tables>> {
    let section = match &mapping.backing {
        Backing::File(path, inode) => {
            let file = FoundFile::find(image.process.pid, mapping, path, *inode)?.open()?;
            elf.unwind_section(&file)
        }
        Backing::Vdso => elf.unwind_section(&*vdso(image, mapping)?),
        Backing::Anonymous => None,
    };
    Ok(section.and_then(|section| Tables::new(section, elf.base())))
}

/// The vDSO of a process: the kernel's code, but only the process has it mapped.
pub(super) fn vdso(image: Image, mapping: &Mapping) -> io::Result<Vec<u8>> {
    let size = usize::try_from(mapping.end - mapping.start).unwrap_or(MAX_STACK);
    let mut bytes = vec![0; size.min(MAX_STACK)];
    let read = read_memory(image.process.pid, mapping.start, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A path that does no harm where it is shown.
pub(super) fn shown(path: &[u8]) -> String {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    sanitize::text(path)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_path_does_no_harm() {
        assert_eq!(shown(b"/a\x1b[2J\nb (deleted)"), "/a\u{fffd}[2J\u{fffd}b");
        assert_eq!(shown(b"/\xff"), "/\u{fffd}");
        assert_eq!(shown("/\u{202e}gnp.so".as_bytes()), "/\u{fffd}gnp.so");
    }
}
