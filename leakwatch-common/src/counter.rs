//! What the kernel side lost, shed or skipped. Per CPU; the agent sums them up once a tick.

use bytemuck::{Pod, Zeroable};

use crate::discriminants;

discriminants! {
    /// Index into the map `COUNTERS`.
    pub enum Counter {
        /// Records given to the agent.
        FeedRecords = 0,
        /// Records that found the ring buffer full, of every kind.
        FeedDropped = 1,
        /// 32-bit (compat) system calls, which are not decoded.
        CompatSkipped = 2,
        /// Births counted at the overflow site, because the site table was full.
        SitesFull = 3,
        /// Births of descriptors not kept as live, because the page table was full.
        FdPagesFull = 4,
        /// Births of threads not kept as live, because the thread table was full.
        ThreadsFull = 5,
        /// Processes not entered, because the process table was full: their births are at the overflow site.
        ProcessesFull = 6,
        /// Stacks taken.
        StacksTaken = 7,
        /// Stacks that could not be taken: no user registers, or a program that interrupted another one's copy.
        StacksFailed = 8,
        /// Descriptors reused on another CPU before their close was seen.
        LateCloses = 9,
        /// Closes of descriptors whose birth was not seen.
        UnknownCloses = 10,
        /// `close_range` calls wider than the walk covers.
        CloseRangeTruncated = 11,
        /// Reads of kernel memory that failed.
        ReadFaults = 12,
        /// Births of descriptors whose number is too high to be followed; they show as unattributed.
        HighFds = 13,
        /// Stacks that found their ring buffer full.
        StacksDropped = 14,
        /// Of [`Self::FeedDropped`] those that nothing else tells of: a sampled descriptor was closed, a sampled thread ended.
        DeathsDropped = 15,
    }
}

impl Counter {
    /// How many counters there are.
    pub const COUNT: usize = Self::ALL.len();
}

discriminants! {
    /// What each CPU may do only so often in a second. Index into the map `BUDGETS`.
    pub enum Budget {
        /// Stacks.
        Stacks = 0,
        /// Changes of address spaces.
        Mappings = 1,
    }
}

impl Budget {
    /// How many budgets there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// One CPU's use of one budget. Value of the map `BUDGETS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Spent {
    /// Start of the running second, nanoseconds of the programs' clock.
    pub since_ns: u64,
    /// Taken in the running second.
    pub used: u64,
    /// Refused since the programs were loaded. Counted here and not in `COUNTERS` because it happens where time matters.
    pub shed: u64,
    /// 1 when all of the running second was taken long before its end.
    pub early: u32,
    /// How much less often than it would like to, as a power of two, who asks should ask, so that it lasts for the second.
    pub pressure: u32,
}

const _: () = assert!(size_of::<Spent>() == 32);
