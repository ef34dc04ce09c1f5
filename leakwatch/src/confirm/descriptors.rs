//! Descriptors: what each is, and then a look at it as that.
//!
//! Nothing is opened. `stat` of a file may ask whoever serves its file system, and a FUSE server may never answer: the call
//! then blocks for ever. `AT_STATX_DONT_SYNC` takes what the kernel already knows (fs/fuse/dir.c, `fuse_update_get_attr`), and
//! following `/proc/PID/fd/N` jumps to the file without a lookup in its file system.

use std::fs;

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags, statx};

use super::{
    events, files,
    look::{Sight, Sights},
    pipes, sockets,
    waiters::Waiters,
};

/// One open descriptor.
pub(super) struct Descriptor {
    pub(super) pid: u32,
    pub(super) fd: u64,
    pub(super) stat: Statx,
}

impl Descriptor {
    fn find(pid: u32, fd: u64) -> Option<Self> {
        let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::SIZE | StatxFlags::ATIME;
        let wanted = wanted | StatxFlags::MTIME | StatxFlags::CTIME;
        let stat = statx(CWD, path(pid, fd), AtFlags::STATX_DONT_SYNC, wanted).ok()?;
        Some(Self { pid, fd, stat })
    }

    pub(super) fn path(&self) -> String {
        path(self.pid, self.fd)
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        let device = u64::from(self.stat.stx_dev_major) << 32 | u64::from(self.stat.stx_dev_minor);
        (device, self.stat.stx_ino)
    }

    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.stx_mode.into())
    }

    pub(super) fn fdinfo(&self) -> Option<String> {
        fdinfo(self.pid, self.fd)
    }
}

fn path(pid: u32, fd: u64) -> String {
    format!("/proc/{pid}/fd/{fd}")
}

/// What the kernel says of an open file: position, flags, and for some kinds their state.
pub(super) fn fdinfo(pid: u32, fd: u64) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()
}

/// One look at descriptors of a process.
pub(super) fn look(pid: u32, fds: &[u64]) -> Sights {
    let waiters = Waiters::read(pid);
    let found: Vec<Descriptor> = fds.iter().filter_map(|&fd| Descriptor::find(pid, fd)).collect();
    let is_socket = |found: &Descriptor| found.file_type() == FileType::Socket;
    let sockets = if found.iter().any(is_socket) {
        sockets::Table::read(pid)
    } else {
        sockets::Table::default()
    };
    let mut sights = Sights::new();
    for descriptor in &found {
        let sight = match descriptor.file_type() {
            FileType::Socket => Some(sockets.sight(descriptor, &waiters)),
            FileType::Fifo => Some(pipes::sight(descriptor)),
            _ => match events::name(descriptor) {
                Some(name) => events::sight(descriptor, &name, &waiters),
                None => files::sight(descriptor),
            },
        };
        let identity = descriptor.identity();
        sights.extend(sight.map(|sight| (descriptor.fd, Sight { identity, ..sight })));
    }
    files::doubt_what_is_read_in_place(&mut sights);
    sights
}
