//! Opening files of processes that may be hostile.
//!
//! A path inside another mount namespace is resolved by the kernel inside that root (`RESOLVE_IN_ROOT`): a symbolic link in
//! a container cannot lead to a file of the host. Whatever is found is looked at before it is opened for reading, because
//! opening a FIFO blocks and opening a device may act.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

use crate::model::stack::Sighting;

/// A root directory in which absolute paths and links are resolved.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    /// The root that a process sees.
    pub(super) fn of_process(pid: u32) -> io::Result<Self> {
        Self::open(&format!("/proc/{pid}/root"))
    }

    /// Our own.
    pub(super) fn own() -> io::Result<Self> {
        Self::open("/")
    }

    fn open(path: &str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Opens a regular file, following links inside this root.
    pub(super) fn file(&self, path: &str) -> io::Result<File> {
        self.regular_file(path, OFlags::empty())
    }

    /// Opens a regular file that is not a link itself.
    pub(super) fn file_itself(&self, path: &str) -> io::Result<File> {
        self.regular_file(path, OFlags::NOFOLLOW)
    }

    fn regular_file(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let found = openat2(
            &self.0,
            path.trim_start_matches('/'),
            flags | OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?;
        readable(&found)
    }
}

/// Opens what a process has mapped, even if it has been deleted or renamed since.
pub(super) fn mapped(seen: Sighting) -> io::Result<File> {
    let (first, end) = seen.mapping;
    let link = format!("/proc/{}/map_files/{first:x}-{end:x}", seen.pid);
    readable(&open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// A file handle for reading what is a regular file.
fn readable(found: &OwnedFd) -> io::Result<File> {
    if FileType::from_raw_mode(fstat(found.as_fd())?.st_mode) != FileType::RegularFile {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io, os::unix::fs::symlink, process};

    use super::{Root, mapped};
    use crate::model::stack::Sighting;

    #[test]
    fn a_link_does_not_lead_out_of_its_root() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("inside"), "inside").unwrap();
        symlink("/inside", directory.path().join("good")).unwrap();
        symlink("/etc/passwd", directory.path().join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", directory.path().join("relative")).unwrap();
        let root = Root::open(directory.path().to_str().unwrap()).unwrap();
        assert_eq!(io::read_to_string(root.file("/good").unwrap()).unwrap(), "inside");
        for path in ["/absolute", "/relative", "../etc/passwd"] {
            assert_eq!(
                root.file(path).unwrap_err().kind(),
                io::ErrorKind::NotFound,
                "{path}"
            );
        }
        assert!(root.file_itself("/good").is_err());
    }

    #[test]
    fn a_fifo_and_a_device_are_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let own = Root::own().unwrap();
        assert!(own.file(fifo.to_str().unwrap()).is_err());
        assert!(own.file("/dev/null").is_err());
    }

    #[test]
    fn a_mapping_that_is_not_there() {
        let seen = Sighting {
            pid: process::id(),
            mapping: (0x1000, 0x2000),
        };
        assert_eq!(mapped(seen).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
