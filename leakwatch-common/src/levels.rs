//! Rows that the BPF iterators write: how much each process holds now.

use bytemuck::{Pod, Zeroable};

use crate::COMM_LEN;

/// Bits of [`TaskRow::flags`].
pub mod flag {
    /// The thread group leader has exited and this row was read from another thread; several such rows may follow.
    pub const LEADER_EXITED: u32 = 1;
    /// The process has exited and waits to be reaped.
    pub const ZOMBIE: u32 = 2;
    /// The descriptor table is larger than the walk covers: `fds` is a lower bound, and the agent counts again.
    pub const FDS_TRUNCATED: u32 = 4;
    /// The `rss_*` counters are sums over all CPUs, not the approximation the kernel keeps beside them.
    pub const RSS_EXACT: u32 = 8;
}

/// One process, from `iter/task`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct TaskRow {
    /// When it started, `CLOCK_BOOTTIME` nanoseconds.
    pub start_boottime_ns: u64,
    /// Id of its cgroup in the default (v2) hierarchy; 0 when there is none.
    pub cgroup_id: u64,
    /// Soft `RLIMIT_NOFILE`; `u64::MAX` is unlimited.
    pub nofile_soft: u64,
    /// Resident anonymous memory.
    pub rss_anon_bytes: u64,
    /// Resident file-backed memory.
    pub rss_file_bytes: u64,
    /// Resident shared memory.
    pub rss_shmem_bytes: u64,
    /// Swapped-out memory.
    pub swap_bytes: u64,
    /// Everything mapped.
    pub total_vm_bytes: u64,
    /// `mm.start_brk`.
    pub start_brk: u64,
    /// `mm.brk`.
    pub brk: u64,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// The parent's.
    pub parent_tgid: u32,
    /// Effective user id in the initial user namespace.
    pub euid: u32,
    /// Low half of the kernel's count of `execve` in this task.
    pub exec_id: u32,
    /// Live threads.
    pub threads: u32,
    /// Open descriptors.
    pub fds: u32,
    /// Mappings.
    pub map_count: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Command name, NUL-terminated; any bytes.
    pub comm: [u8; COMM_LEN],
}

/// One open descriptor, from `iter/task_file`; ascending within a table, and repeated when the leader has exited.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct FileRow {
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// Descriptor number.
    pub fd: u32,
    /// Discriminant of [`crate::kind::Kind`].
    pub kind: u32,
}

/// One anonymous mapping, from `iter/task_vma`; ascending within a process, and repeated when the leader has exited.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct VmaRow {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// One thread that waits in the kernel, as the iterator `threads` writes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ThreadRow {
    /// When the thread started, `CLOCK_BOOTTIME` nanoseconds.
    pub start_boottime_ns: u64,
    /// Program counter in user mode.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer register, whatever it is used for.
    pub fp: u64,
    /// Link register; 0 on x86-64, which has none.
    pub lr: u64,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// Thread id in the initial PID namespace.
    pub tid: u32,
}

const _: () = assert!(size_of::<TaskRow>() == 128);
const _: () = assert!(size_of::<FileRow>() == 12);
const _: () = assert!(size_of::<VmaRow>() == 24);
const _: () = assert!(size_of::<ThreadRow>() == 48);
