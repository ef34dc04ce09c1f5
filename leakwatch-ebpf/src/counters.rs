//! What was lost, shed or skipped.

use leakwatch_common::counter::Counter;

use crate::maps::COUNTERS;

/// Adds one, on this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(total) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: a per-CPU map value; programs do not migrate while they run.
        unsafe { *total += 1 };
    }
}
