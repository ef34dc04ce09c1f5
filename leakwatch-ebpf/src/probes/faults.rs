//! `perf_event` on the software event `page-faults`, with a period: who touches memory first.
//!
//! Touches only preallocated maps, see [`crate::maps`].

use aya_ebpf::{EbpfContext as _, macros::perf_event, programs::PerfEventContext};
use leakwatch_common::kind::Kind;

use crate::{clock, stack};

/// One of every so many page faults, of any process on this CPU.
#[perf_event]
fn page_faults(ctx: PerfEventContext) -> u32 {
    let tgid = ctx.tgid();
    if tgid != 0 {
        // SAFETY: the kernel passes a valid context; for this event `addr` is the faulting address.
        let address = unsafe { (*ctx.ctx).addr };
        stack::sample(Kind::FirstTouch, tgid, 0, clock::now_ns(), address);
    }
    0
}
