//! The kernel's clocks, for those who may look at one.

pub(crate) use rustix::time::ClockId;
use rustix::time::clock_gettime;

/// What it shows, nanoseconds; 0 before its beginning.
pub(crate) fn now_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
