//! When.

use aya_ebpf::helpers::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};

use crate::globals::setting;

/// `CLOCK_MONOTONIC` nanoseconds. From 5.11 on as of the last timer interrupt, at most 10 ms ago: that costs a load instead
/// of a read of the hardware, and what is measured with it lives for seconds.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: neither takes an argument.
    unsafe {
        if setting!(has_coarse_clock) != 0 {
            bpf_ktime_get_coarse_ns()
        } else {
            bpf_ktime_get_ns()
        }
    }
}
