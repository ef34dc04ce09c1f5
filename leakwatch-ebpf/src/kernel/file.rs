//! What a `struct file` is, as `/proc/PID/fd` would show it.

use leakwatch_common::kind::Kind;

use super::Object;
use crate::globals::offset;

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const S_IFIFO: u16 = 0o010_000;
const S_IFREG: u16 = 0o100_000;

/// include/uapi/linux/magic.h
mod magic {
    pub(super) const ANON_INODE_FS: u64 = 0x0904_1934;
    pub(super) const PID_FS: u64 = 0x5049_4446;
    pub(super) const TMPFS: u64 = 0x0102_1994;
    pub(super) const HUGETLBFS: u64 = 0x9584_58f6;
    pub(super) const NSFS: u64 = 0x6e73_6673;
    pub(super) const SECRETMEM: u64 = 0x5345_434d;
    pub(super) const DMA_BUF: u64 = 0x444d_4142;
}

/// The kind of an open file; `None` when it could not be read.
#[inline(always)]
pub(crate) fn kind(file: Object) -> Option<Kind> {
    let inode = file.follow(offset!(file_f_inode))?;
    match inode.read::<u16>(offset!(inode_i_mode))? & S_IFMT {
        S_IFSOCK => return Some(Kind::Socket),
        S_IFIFO => return Some(Kind::Pipe),
        _ => {}
    }
    let regular = inode.read::<u16>(offset!(inode_i_mode))? & S_IFMT == S_IFREG;
    let magic = inode
        .follow(offset!(inode_i_sb))?
        .read::<u64>(offset!(super_block_s_magic))?;
    match magic {
        magic::ANON_INODE_FS => anonymous(file),
        magic::PID_FS => Some(Kind::Pidfd),
        magic::TMPFS | magic::HUGETLBFS if regular => shared_memory(file),
        magic::NSFS | magic::SECRETMEM | magic::DMA_BUF => Some(Kind::Other),
        _ => Some(Kind::File),
    }
}

/// First 8 bytes of the name an anonymous inode was made with (`anon_inode_getfd`).
#[inline(always)]
fn anonymous(file: Object) -> Option<Kind> {
    let name = file
        .follow(offset!(file_dentry))?
        .follow(offset!(dentry_name))?
        .read::<[u8; 8]>(0)?;
    Some(match u64::from_le_bytes(name) {
        EVENTFD => Kind::Eventfd,
        EPOLL => Kind::Epoll,
        TIMERFD => Kind::Timerfd,
        SIGNALFD => Kind::Signalfd,
        INOTIFY => Kind::Inotify,
        PERF_EVENT => Kind::PerfEvent,
        IO_URING => Kind::IoUring,
        USERFAULTFD => Kind::Userfaultfd,
        FANOTIFY => Kind::Fanotify,
        PIDFD => Kind::Pidfd,
        // "bpf-map", "bpf-prog", "bpf_link", "bpf_iter", "bpf-token", "btf"
        other if other & PREFIX_4 == BPF_DASH || other & PREFIX_4 == BPF_LINE || other & PREFIX_4 == BTF => {
            Kind::Bpf
        }
        _ => Kind::Other,
    })
}

const EVENTFD: u64 = u64::from_le_bytes(*b"[eventfd");
const EPOLL: u64 = u64::from_le_bytes(*b"[eventpo");
const TIMERFD: u64 = u64::from_le_bytes(*b"[timerfd");
const SIGNALFD: u64 = u64::from_le_bytes(*b"[signalf");
const INOTIFY: u64 = u64::from_le_bytes(*b"inotify\0");
const PERF_EVENT: u64 = u64::from_le_bytes(*b"[perf_ev");
const IO_URING: u64 = u64::from_le_bytes(*b"[io_urin");
const USERFAULTFD: u64 = u64::from_le_bytes(*b"[userfau");
const FANOTIFY: u64 = u64::from_le_bytes(*b"[fanotif");
const PIDFD: u64 = u64::from_le_bytes(*b"[pidfd]\0");
const PREFIX_4: u64 = 0xffff_ffff;
const BPF_DASH: u64 = u64::from_le_bytes(*b"bpf-\0\0\0\0");
const BPF_LINE: u64 = u64::from_le_bytes(*b"bpf_\0\0\0\0");
const BTF: u64 = u64::from_le_bytes(*b"btf\0\0\0\0\0");

/// A memfd is a regular file named `memfd:...` that has no directory: its dentry is its own parent. A file of that name
/// in /dev/shm is not one.
#[inline(always)]
fn shared_memory(file: Object) -> Option<Kind> {
    const MEMFD: [u8; 6] = *b"memfd:";
    let dentry = file.follow(offset!(file_dentry))?;
    let parentless = dentry.follow(offset!(dentry_parent))? == dentry;
    let name = dentry.follow(offset!(dentry_name))?.read::<[u8; 6]>(0)?;
    Some(if parentless && name == MEMFD {
        Kind::Memfd
    } else {
        Kind::File
    })
}
