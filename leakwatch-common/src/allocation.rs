//! Allocations of one process, while `leakwatch trace` looks at them.
//!
//! Which allocations are followed is random. Deciding by the address would spare the call that frees a look-up, but a program that
//! uses the same addresses over and over would then be seen all or not at all.

use bytemuck::{Pod, Zeroable};

use crate::discriminants;

discriminants! {
    /// Index into the map `ALLOCATION_TOTALS`.
    pub enum Total {
        /// Calls that allocate, as they began: one that is made by another one counts as well.
        Allocations = 0,
        /// Calls that free, with whatever argument.
        Frees = 1,
        /// Allocations that are followed.
        Sampled = 2,
        /// Those of them without a stack, or without room to be kept.
        Shed = 3,
        /// Calls whose return could not be waited for, because too many threads allocate.
        ThreadsFull = 4,
    }
}

impl Total {
    /// How many totals there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// Which allocations are followed. Only value of the map `ALLOCATION_CONTROL`; the agent writes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Control {
    /// An allocation is followed when these bits of a random number are 0: one of `mask + 1`, a power of two.
    pub mask: u32,
}

impl Control {
    /// Follows next to nothing.
    pub const NONE: Self = Self { mask: u32::MAX };
    /// Follows everything.
    pub const ALL: Self = Self { mask: 0 };
}

/// One live allocation. Value of the map `LIVE_ALLOCATIONS`, keyed by address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct LiveAllocation {
    /// Bytes asked for.
    pub bytes: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub birth_ns: u64,
    /// As in [`crate::stack::StackTaken`].
    pub sample: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// A call that has not returned. Value of the map `PENDING_ALLOCATIONS`, keyed by thread id.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct PendingAllocation {
    /// The stack pointer where the call was seen; 0 when none is under way.
    pub sp: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Where the address will be written; 0 when the call returns it.
    pub result: u64,
    /// The allocation that this one takes the place of, or 0.
    pub replaced: u64,
    /// What was known of it; `birth_ns` 0 for nothing.
    pub before: LiveAllocation,
    /// Calls made by this one so far.
    pub nested: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Control>() == 4);
const _: () = assert!(size_of::<LiveAllocation>() == 24);
const _: () = assert!(size_of::<PendingAllocation>() == 64);
