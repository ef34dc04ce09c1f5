//! The three clocks, read together.

use crate::{
    clock::{ClockId, now_ns},
    raw::Moment,
};

/// Now.
pub(super) fn now() -> Moment {
    Moment {
        monotonic_ns: now_ns(ClockId::Monotonic),
        boottime_ns: now_ns(ClockId::Boottime),
        unix_ms: now_ns(ClockId::Realtime) / 1_000_000,
    }
}
