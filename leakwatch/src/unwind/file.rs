//! Opens what a process has mapped: in containers, after it was deleted, and without being led astray.

use std::{
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

use super::address_space::Mapping;

/// Identity of a file without a build id, and the quick way to one with: what it is need be read once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// A regular file that is found, but not open for reading yet.
pub(super) struct FoundFile {
    path_only: File,
    pub(super) id: FileId,
}

impl FoundFile {
    /// Finds the file behind a mapping of `path`.
    pub(super) fn find(pid: u32, mapping: &Mapping, path: &[u8], inode: u64) -> io::Result<Self> {
        Self::by_mapping(pid, mapping).or_else(|_| Self::by_path(pid, path, inode))
    }

    /// Opens it. It is a regular file, so neither a driver nor the writer of a pipe is asked.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.path_only.as_raw_fd()))
    }

    /// The very file, wherever it is and even if it was deleted; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
    fn by_mapping(pid: u32, mapping: &Mapping) -> io::Result<Self> {
        let link = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
        Self::new(open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// The path as the process sees it. Links in its file system lead no further than its root, and what is there now must
    /// be what is mapped.
    fn by_path(pid: u32, path: &[u8], inode: u64) -> io::Result<Self> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(format!("/proc/{pid}/root"), directory, Mode::empty())?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat2(root.as_fd(), path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
        let found = Self::new(file.into())?;
        if found.id.inode == inode {
            Ok(found)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn new(path_only: File) -> io::Result<Self> {
        let metadata = path_only.metadata()?;
        let id = FileId::of(&metadata);
        if metadata.is_file() {
            Ok(Self { path_only, id })
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
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
