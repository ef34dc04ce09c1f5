//! Sites: who took it, and how much of it is still held.
//!
//! A site is one program image that takes one [`crate::kind::Kind`] of thing; which of its call stacks do is sampled, see
//! [`crate::stack`]. Its counts live in an array that the agent maps into its memory, so reading all sites costs no system
//! call and no record can be lost.

use bytemuck::{Pod, Zeroable};

/// Sites there can be at once; the map `SITES` has this many entries of 72 bytes.
pub const MAX_SITES: u32 = 32_768;

/// The site that stands for "the table was full": its counts are right, its process is unknown.
pub const OVERFLOW_SITE: u32 = 0;

/// Key of the map `SITE_IDS`, whose values are indices into `SITES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct SiteKey {
    /// When the process started, `CLOCK_BOOTTIME` nanoseconds: with `tgid` the identity that survives PID reuse.
    pub start_boottime_ns: u64,
    /// The kernel's count of `execve` in this task: an image's sites end with the image.
    pub exec_id: u32,
    /// Thread group id in the initial PID namespace.
    pub tgid: u32,
    /// Discriminant of [`crate::kind::Kind`].
    pub kind: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// Counts of one site. Only the kernel writes them, and each only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct SiteCounts {
    /// Whose counts these are; `tgid` 0 means that the entry is free.
    pub key: SiteKey,
    /// Things taken here.
    pub born: u64,
    /// Things taken here and given back since.
    pub died: u64,
    /// Bytes taken here; 0 for descriptors and threads.
    pub bytes: u64,
    /// Sum of the lifetimes of what died, nanoseconds.
    pub lifetime_ns: u64,
    /// When this site first took something, nanoseconds of the programs' clock.
    pub created_ns: u64,
    /// When it last took something, nanoseconds of the programs' clock.
    pub last_birth_ns: u64,
}

/// Entries of [`Process::sites`]: a power of two, so that a mask bounds an index where the verifier wants to see it.
pub const SITES_PER_PROCESS: usize = 32;

/// A process that took something since the agent attached. Value of the map `PROCESSES`, keyed by tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Process {
    /// As in [`SiteKey`].
    pub start_boottime_ns: u64,
    /// As in [`SiteKey`].
    pub exec_id: u32,
    /// The tgid under which its descriptors are kept: another one when it shares a table by `CLONE_FILES`.
    pub fd_table: u32,
    /// Last program break seen; 0 before the first.
    pub brk: u64,
    /// By kind; [`OVERFLOW_SITE`] until there is one.
    pub sites: [u32; SITES_PER_PROCESS],
}

/// Descriptors in one [`FdPage`].
pub const FDS_PER_PAGE: u32 = 32;

/// Key of the map `FD_PAGES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct FdPageKey {
    /// [`Process::fd_table`].
    pub fd_table: u32,
    /// Descriptor number divided by [`FDS_PER_PAGE`].
    pub page: u32,
}

/// Set in [`FdSlot::site`] when this birth was seen before the close of the descriptor's previous owner, whose `close` is
/// still on its way out of the kernel on another CPU.
pub const CLOSE_PENDING: u32 = 1 << 31;

/// One live descriptor whose birth was seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct FdSlot {
    /// nanoseconds of the programs' clock; 0 means that the slot is empty.
    pub birth_ns: u64,
    /// Index into `SITES`, and perhaps [`CLOSE_PENDING`].
    pub site: u32,
    /// [`crate::stack::StackTaken::sample`], or [`crate::stack::NO_SAMPLE`].
    pub sample: u32,
}

/// The descriptors `page * 32 ..= page * 32 + 31` of one table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct FdPage {
    /// By descriptor number modulo [`FDS_PER_PAGE`].
    pub slots: [FdSlot; FDS_PER_PAGE as usize],
}

/// A live thread whose birth was seen. Value of the map `THREADS`, keyed by tid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Thread {
    /// nanoseconds of the programs' clock.
    pub birth_ns: u64,
    /// Index into `SITES`.
    pub site: u32,
    /// [`crate::stack::StackTaken::sample`], or [`crate::stack::NO_SAMPLE`].
    pub sample: u32,
}

const _: () = assert!(size_of::<SiteKey>() == 24);
const _: () = assert!(size_of::<SiteCounts>() == 72);
const _: () = assert!(size_of::<Process>() == 152);
const _: () = assert!(crate::kind::Kind::COUNT <= SITES_PER_PROCESS);
const _: () = assert!(size_of::<FdPageKey>() == 8);
const _: () = assert!(size_of::<FdSlot>() == 16);
const _: () = assert!(size_of::<FdPage>() == 512);
const _: () = assert!(size_of::<Thread>() == 16);
