//! Records of the ring buffer: things that happened.
//!
//! Every record starts with a [`Header`]; its size is fixed by its kind. Losing one may cost attribution, never a
//! count: counts are in [`crate::site`] and in [`crate::levels`]. Who lives is in the levels as well, and a change of an address
//! space that did not come is missed, because it was counted; only that a sample died is said nowhere else
//! ([`crate::counter::Counter::DeathsDropped`]).

use bytemuck::{Pod, Zeroable};

use crate::discriminants;

discriminants! {
    /// What a record says.
    pub enum RecordKind {
        /// [`ProcessForked`].
        ProcessForked = 1,
        /// [`ProcessExeced`].
        ProcessExeced = 2,
        /// [`ProcessExited`].
        ProcessExited = 3,
        /// [`ThreadEnded`].
        ThreadEnded = 4,
        /// [`FdClosed`].
        FdClosed = 5,
        /// [`AddressSpaceChanged`]: anonymous memory appeared at `addr`.
        Mapped = 6,
        /// [`AddressSpaceChanged`]: whatever was mapped at `addr` is gone, or was replaced by a file mapping.
        Unmapped = 7,
        /// [`AddressSpaceChanged`]: `addr` is the new program break, `len` is 0.
        BrkSet = 8,
        /// [`AddressSpaceChanged`]: stays mapped, contents given back.
        Discarded = 9,
        /// [`Remapped`].
        Remapped = 10,
    }
}

/// First bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Header {
    /// Discriminant of [`RecordKind`].
    pub kind: u32,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// When, nanoseconds of the programs' clock.
    pub time_ns: u64,
}

/// `header.tgid` made a new process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ProcessForked {
    /// The parent's.
    pub header: Header,
    /// When the child started, `CLOCK_BOOTTIME` nanoseconds.
    pub child_start_boottime_ns: u64,
    /// Thread group id of the child.
    pub child_tgid: u32,
    /// 1 when parent and child share one descriptor table (`CLONE_FILES`), else the child has a copy of it.
    pub shares_fd_table: u32,
}

/// `header.tgid` runs a new program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ProcessExeced {
    /// Whose.
    pub header: Header,
    /// As in [`crate::site::SiteKey`].
    pub start_boottime_ns: u64,
}

/// The last thread of `header.tgid` exited.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ProcessExited {
    /// Whose.
    pub header: Header,
    /// As in [`crate::site::SiteKey`].
    pub start_boottime_ns: u64,
}

/// A thread whose birth was sampled ended. As rare as the samples, so never shed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ThreadEnded {
    /// Whose.
    pub header: Header,
    /// When it was born, nanoseconds of the programs' clock.
    pub birth_ns: u64,
    /// [`crate::stack::StackTaken::sample`].
    pub sample: u32,
    /// Thread id in the initial PID namespace.
    pub tid: u32,
}

/// A descriptor whose birth was sampled was closed. As rare as the samples, so never shed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct FdClosed {
    /// Whose.
    pub header: Header,
    /// When it was born, nanoseconds of the programs' clock.
    pub birth_ns: u64,
    /// [`crate::stack::StackTaken::sample`].
    pub sample: u32,
    /// Descriptor number.
    pub fd: u32,
}

/// `mmap`, `munmap`, `mremap`, `brk` or `madvise` succeeded. Shed when the feed is over its budget.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct AddressSpaceChanged {
    /// Whose.
    pub header: Header,
    /// First byte.
    pub addr: u64,
    /// Bytes, a multiple of the page size.
    pub len: u64,
    /// [`crate::stack::StackTaken::sample`] of the call that asked for it, or [`crate::stack::NO_SAMPLE`].
    pub sample: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// `mremap` succeeded. Shed when the feed is over its budget.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Remapped {
    /// Whose.
    pub header: Header,
    /// First byte before.
    pub old_addr: u64,
    /// Bytes before.
    pub old_len: u64,
    /// First byte now.
    pub new_addr: u64,
    /// Bytes now.
    pub new_len: u64,
    /// [`crate::stack::StackTaken::sample`] of the call that asked for it, or [`crate::stack::NO_SAMPLE`].
    pub sample: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Header>() == 16);
const _: () = assert!(size_of::<ProcessForked>() == 32);
const _: () = assert!(size_of::<ProcessExeced>() == 24);
const _: () = assert!(size_of::<ProcessExited>() == 24);
const _: () = assert!(size_of::<ThreadEnded>() == 32);
const _: () = assert!(size_of::<FdClosed>() == 32);
const _: () = assert!(size_of::<AddressSpaceChanged>() == 40);
const _: () = assert!(size_of::<Remapped>() == 56);
