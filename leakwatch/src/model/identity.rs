//! Who is meant when a process is named.

use serde::{Deserialize, Serialize};

/// A process, across PID reuse: the kernel hands a PID out again, but not together with the same start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Thread group id in the initial PID namespace.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_time_ns: u64,
}
