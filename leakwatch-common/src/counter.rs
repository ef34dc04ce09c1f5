//! What the kernel side lost, shed or skipped. Per CPU; the agent sums them up once a tick.

use crate::discriminants;

discriminants! {
    /// Index into the map `COUNTERS`.
    pub enum Counter {
        /// Records given to the agent.
        FeedRecords = 0,
        /// Records that found the ring buffer full.
        FeedDropped = 1,
        /// Records not made because the feed was over its budget.
        FeedShed = 2,
        /// 32-bit (compat) system calls, which are not decoded.
        CompatSkipped = 3,
        /// Births counted at the overflow site, because the site table was full.
        SitesFull = 4,
        /// Births of descriptors not kept as live, because the page table was full.
        FdPagesFull = 5,
        /// Births of threads not kept as live, because the thread table was full.
        ThreadsFull = 6,
        /// Processes not entered, because the process table was full: their births are at the overflow site.
        ProcessesFull = 7,
        /// Stacks taken.
        StacksTaken = 8,
        /// Births whose stack was not taken, because the stack budget was spent.
        StacksShed = 9,
        /// Stacks that could not be walked or whose bucket in the stack table was taken.
        StacksFailed = 10,
        /// Descriptors reused on another CPU before their close was seen.
        LateCloses = 11,
        /// Closes of descriptors whose birth was not seen.
        UnknownCloses = 12,
        /// `close_range` calls wider than the walk covers.
        CloseRangeTruncated = 13,
        /// Reads of kernel memory that failed.
        ReadFaults = 14,
        /// Changes of an address space not sent, because the feed was over its budget for them. Part of `FeedShed`.
        MappingsShed = 15,
        /// Births of descriptors whose number is too high to be followed; they show as unattributed.
        HighFds = 16,
    }
}

impl Counter {
    /// How many counters there are.
    pub const COUNT: usize = Self::ALL.len();
}
