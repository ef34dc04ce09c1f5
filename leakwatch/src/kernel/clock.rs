//! The three clocks, read together.

use rustix::time::{ClockId, clock_gettime};

use crate::raw::Moment;

/// Now.
pub(super) fn now() -> Moment {
    let nanoseconds = |clock| {
        let time = clock_gettime(clock);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    };
    Moment {
        monotonic_ns: nanoseconds(ClockId::Monotonic),
        boottime_ns: nanoseconds(ClockId::Boottime),
        unix_ms: nanoseconds(ClockId::Realtime) / 1_000_000,
    }
}
