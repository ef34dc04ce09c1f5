//! The seam between the kernel side and the pure half: bytes, where they came from, and when.
//!
//! A recording is a sequence of these, and replaying one gives the same result as living through it.

use bytemuck::{Pod, Zeroable};
use bytes::Bytes;
use leakwatch_common::site::SiteCounts;
use serde::{Deserialize, Serialize};

/// When something was read, on the three clocks that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// `CLOCK_MONOTONIC` nanoseconds: the clock of levels and their windows.
    pub monotonic_ns: u64,
    /// `CLOCK_BOOTTIME` nanoseconds: the clock of process start times.
    pub boottime_ns: u64,
    /// Milliseconds since the epoch.
    pub unix_ms: u64,
}

/// Where bytes come from, and so what they are a sequence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`leakwatch_common::levels::TaskRow`]s of every process.
    Tasks,
    /// [`leakwatch_common::levels::FileRow`]s.
    Files,
    /// [`leakwatch_common::levels::VmaRow`]s.
    Vmas,
    /// [`leakwatch_common::levels::ThreadRow`]s of one process.
    Threads,
    /// [`leakwatch_common::stack::StackTaken`], each followed by its stack.
    Stacks,
    /// Sites in use, see [`SiteReading`].
    Sites,
    /// Ring buffer records end to end, see [`leakwatch_common::record`].
    Records,
    /// `u64` totals: in the order of [`leakwatch_common::counter::Counter`], and then what was shed in the order of
    /// [`leakwatch_common::counter::Budget`].
    Counters,
}

/// One entry of the site table, and where it stood.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct SiteReading {
    /// Its counts.
    pub counts: SiteCounts,
    /// Its index in the table.
    pub index: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// One piece of what was read.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// What the bytes are.
    pub source: Source,
    /// The bytes, in the kernel's byte order.
    pub bytes: Bytes,
}

/// Everything read in one tick.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// When the levels were read.
    pub moment: Moment,
    /// In the order in which they are to be applied.
    pub batches: Vec<RawBatch>,
}
