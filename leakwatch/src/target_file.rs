//! Files of processes that may be hostile: found as the process sees them, looked at, and only then opened.
//!
//! A path inside another mount namespace is resolved by the kernel inside that root (`RESOLVE_IN_ROOT`): a symbolic link in
//! a container cannot lead to a file of the host. Whatever is found is looked at before it is opened for reading, because
//! opening a FIFO blocks and opening a device may act.

use std::{
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    path::PathBuf,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, open, openat2},
    path::Arg,
};

/// A regular file that is found, but not open for reading yet.
pub(crate) struct Found {
    path_only: File,
    metadata: Metadata,
}

impl Found {
    /// What a process has mapped there (first byte, first byte after), wherever it is and even if it was deleted; needs
    /// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// When there is no such mapping, when it is of no regular file, or without the capability.
    pub(crate) fn mapped(pid: u32, mapping: (u64, u64)) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Self::new(open(mapping_link(pid, mapping), flags, Mode::empty())?)
    }

    /// What it is.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Opens it. It is a regular file, so neither a driver nor the writer of a pipe is asked.
    ///
    /// # Errors
    /// When it may not be read.
    pub(crate) fn open(&self) -> io::Result<File> {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        File::options()
            .read(true)
            .custom_flags(nonblocking)
            .open(format!("/proc/self/fd/{}", self.path_only.as_raw_fd()))
    }

    fn new(path_only: OwnedFd) -> io::Result<Self> {
        let path_only = File::from(path_only);
        let metadata = path_only.metadata()?;
        if metadata.is_file() {
            Ok(Self { path_only, metadata })
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }
}

/// The link to what a process has mapped there. Unlike in `maps`, small addresses have no leading zeros in it.
pub(crate) fn mapping_link(pid: u32, (first, end): (u64, u64)) -> PathBuf {
    format!("/proc/{pid}/map_files/{first:x}-{end:x}").into()
}

/// A root directory in which absolute paths and links are resolved.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// The root that a process sees.
    ///
    /// # Errors
    /// When the process is gone, or may not be looked into.
    pub(crate) fn of_process(pid: u32) -> io::Result<Self> {
        Self::open(&format!("/proc/{pid}/root"))
    }

    /// Our own.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn own() -> io::Result<Self> {
        Self::open("/")
    }

    fn open(path: &str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Finds a regular file, following links inside this root.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self, path: impl Arg) -> io::Result<Found> {
        self.regular_file(path, OFlags::empty())
    }

    /// Finds a regular file that is not a link itself.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find_itself(&self, path: impl Arg) -> io::Result<Found> {
        self.regular_file(path, OFlags::NOFOLLOW)
    }

    /// Finds a directory, following links inside this root.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn directory(&self, path: impl Arg) -> io::Result<OwnedFd> {
        self.path_only(path, OFlags::DIRECTORY)
    }

    /// Connects to a socket that is not a link itself.
    ///
    /// # Errors
    /// When there is none, or nobody listens.
    pub(crate) fn connect(&self, path: impl Arg) -> io::Result<UnixStream> {
        let socket = self.path_only(path, OFlags::NOFOLLOW)?;
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd()))
    }

    fn regular_file(&self, path: impl Arg, flags: OFlags) -> io::Result<Found> {
        Found::new(self.path_only(path, flags)?)
    }

    fn path_only(&self, path: impl Arg, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs, io,
        os::unix::{fs::symlink, net::UnixListener},
        process,
    };

    use super::{Found, Root};

    #[test]
    fn a_link_does_not_lead_out_of_its_root() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("inside"), "inside").unwrap();
        symlink("/inside", directory.path().join("good")).unwrap();
        symlink("/etc/passwd", directory.path().join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", directory.path().join("relative")).unwrap();
        let root = Root::open(directory.path().to_str().unwrap()).unwrap();
        assert_eq!(
            io::read_to_string(root.find("/good").unwrap().open().unwrap()).unwrap(),
            "inside"
        );
        for path in ["/absolute", "/relative", "../etc/passwd"] {
            assert_eq!(
                root.find(path).err().unwrap().kind(),
                io::ErrorKind::NotFound,
                "{path}"
            );
        }
        symlink("/etc", directory.path().join("away")).unwrap();
        assert!(root.directory("/away").is_err());
        assert!(root.find_itself("/good").is_err());
    }

    #[test]
    fn a_fifo_and_a_device_are_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let own = Root::own().unwrap();
        assert!(own.find(fifo.to_str().unwrap()).is_err());
        assert!(own.find("/dev/null").is_err());
    }

    #[test]
    fn a_link_to_a_socket_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        symlink("/socket", directory.path().join("link")).unwrap();
        let root = Root::open(directory.path().to_str().unwrap()).unwrap();
        assert!(root.connect("/socket").is_ok());
        assert!(root.connect("/link").is_err());
    }

    #[test]
    fn a_mapping_that_is_not_there() {
        let error = Found::mapped(process::id(), (0x1000, 0x2000)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
