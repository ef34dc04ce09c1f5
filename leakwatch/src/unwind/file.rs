//! The file behind a mapping, and who it is: in containers, and after it was deleted.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
};

use super::address_space::Mapping;
use crate::target_file::{Found, Root};

/// Identity of a file without a build id, and the quick way to one with: what it is need be read once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// A file that is found, but not open for reading yet.
pub(super) struct FoundFile {
    found: Found,
    pub(super) id: FileId,
}

impl FoundFile {
    /// Finds the file behind a mapping of `path`.
    pub(super) fn find(pid: u32, mapping: &Mapping, path: &[u8], inode: u64) -> io::Result<Self> {
        Self::by_mapping(pid, mapping).or_else(|_| Self::by_path(pid, path, inode))
    }

    /// Opens it.
    pub(super) fn open(&self) -> io::Result<File> {
        self.found.open()
    }

    fn by_mapping(pid: u32, mapping: &Mapping) -> io::Result<Self> {
        Found::mapped(pid, (mapping.start, mapping.end)).map(Self::new)
    }

    /// The path as the process sees it; what is there now must be what is mapped.
    fn by_path(pid: u32, path: &[u8], inode: u64) -> io::Result<Self> {
        let found = Self::new(Root::of_process(pid)?.find(path)?);
        if found.id.inode == inode {
            Ok(found)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn new(found: Found) -> Self {
        let id = FileId::of(found.metadata());
        Self { found, id }
    }
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::fs::MetadataExt as _};

    use super::FoundFile;
    use crate::unwind::address_space::{AddressSpace, Backing};

    #[test]
    fn the_own_file_is_found_both_ways() {
        let pid = std::process::id();
        let space = AddressSpace::read(pid).expect("alive");
        let own = std::env::current_exe().expect("has a path");
        let own = own.as_os_str().as_encoded_bytes();
        let is_own = |backing: &Backing| matches!(backing, Backing::File(path, _) if **path == *own);
        let mapping = space
            .mappings()
            .iter()
            .find(|mapping| is_own(&mapping.backing))
            .expect("mapped");
        let inode = std::fs::metadata("/proc/self/exe").expect("readable").ino();
        let by_mapping = FoundFile::by_mapping(pid, mapping);
        let by_path = FoundFile::by_path(pid, own, inode).expect("there");
        // Without the capability only one of the ways is open.
        if let Ok(by_mapping) = by_mapping {
            assert_eq!(by_mapping.id, by_path.id);
        }
        let mut magic = [0; 4];
        by_path
            .open()
            .expect("readable")
            .read_exact(&mut magic)
            .expect("not empty");
        assert_eq!(&magic, b"\x7fELF");
        assert!(
            FoundFile::by_path(pid, own, inode + 1).is_err(),
            "another file took its place"
        );
    }

    #[test]
    fn a_device_is_not_opened() {
        let inode = std::fs::metadata("/dev/null").expect("there").ino();
        assert!(FoundFile::by_path(std::process::id(), b"/dev/null", inode).is_err());
    }
}
