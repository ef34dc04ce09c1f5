//! What `leakwatch trace` found: the JSON contract of its report.

use serde::{Deserialize, Serialize};

use super::snapshot::FrameRow;

/// Allocations of one process while it was traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceReport {
    /// Thread group id.
    pub pid: u32,
    /// Its name; control characters are replaced.
    pub name: String,
    /// The file whose functions were probed.
    pub allocator: String,
    /// Time that was observed, nanoseconds.
    pub observed_ns: u64,
    /// Why it was not longer; `None` when it was as long as asked for.
    pub ended_early: Option<String>,
    /// One in so many allocations was followed. Every number below but `samples` and times is an estimate for all.
    pub one_in: u64,
    /// Stacks behind the report.
    pub samples: u64,
    /// Followed allocations that are missing because a budget was spent; the estimates make up for them.
    pub shed: u64,
    /// Bytes that were allocated and not freed, everywhere: an estimate, which few large blocks may miss.
    pub live_bytes: u64,
    /// Resident anonymous memory of the process at the end less that at the beginning, bytes; `None` when it has ended.
    pub grown_bytes: Option<i64>,
    /// What it cost.
    pub cost: TraceCost,
    /// Places that kept something for more than half of the time, those with most bytes first.
    pub suspects: Vec<AllocationSite>,
    /// The other places, those that allocate most first.
    pub others: Vec<AllocationSite>,
}

/// What being traced cost the process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceCost {
    /// Predicted, percent of one processor.
    pub predicted_percent: f64,
    /// From the calls that were counted and what one costs on this host, percent of one processor.
    pub counted_percent: f64,
    /// System time of the process while it was traced less that before, percent of one processor: from the kernel's clock
    /// ticks, which see a part of what breakpoints cost.
    pub system_percent: Option<f64>,
    /// Predicted for an allocation and the free that belongs to it, nanoseconds.
    pub pair_ns: f64,
    /// Calls a second that allocated.
    pub allocations_per_second: f64,
    /// Calls a second that freed.
    pub frees_per_second: f64,
}

/// One place that allocates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllocationSite {
    /// The function that asked for the memory, the innermost outside the C library, the allocator and the runtime.
    pub function: Option<String>,
    /// Innermost first.
    pub frames: Vec<FrameRow>,
    /// Why the stack is not complete; `None` when it is.
    pub cut: Option<String>,
    /// Followed allocations that were made here.
    pub samples: u64,
    /// Those of them that stayed for more than half of the time.
    pub old_samples: u64,
    /// Allocations made here.
    pub born: u64,
    /// Bytes of them.
    pub born_bytes: u64,
    /// Those that were not freed.
    pub live: u64,
    /// Bytes of them.
    pub live_bytes: u64,
    /// Those that stayed for more than half of the time.
    pub old: u64,
    /// Bytes of them.
    pub old_bytes: u64,
    /// Share of this place in the old bytes of all places, percent.
    pub share_percent: f64,
    /// Mean age of what was not freed, nanoseconds; `None` when everything was.
    pub mean_age_ns: Option<u64>,
}
