//! `perf_event` on the software event `page-faults`, with a period: who touches memory first.
//!
//! Touches only preallocated maps, see [`crate::maps`].

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_FAST_STACK_CMP, BPF_F_USER_STACK},
    macros::perf_event,
    programs::{PerfEventContext, tracing::StackIdContext as _},
};
use leakwatch_common::{
    counter::Budget,
    record::{Faulted, RecordKind},
    site::NO_STACK,
};

use crate::{budget, clock, feed, globals::setting, maps::STACKS};

/// One of every so many page faults, of any process on this CPU.
#[perf_event]
fn page_faults(ctx: PerfEventContext) -> u32 {
    let tgid = ctx.tgid();
    if tgid == 0 || tgid == setting!(agent_tgid) {
        return 0;
    }
    let now_ns = clock::now_ns();
    let mut stack = NO_STACK;
    if budget::take(Budget::Stacks, setting!(stacks_per_second), now_ns) {
        let flags = u64::from(BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP);
        stack = ctx.get_stackid(&STACKS, flags).map_or(NO_STACK, |id| id as i32);
    }
    // SAFETY: the kernel passes a valid context; for this event `addr` is the faulting address.
    let addr = unsafe { (*ctx.ctx).addr };
    let header = feed::header(RecordKind::Faulted, tgid, now_ns);
    feed::sample(
        Budget::Samples,
        now_ns,
        Faulted {
            header,
            addr,
            stack,
            reserved: 0,
        },
    );
    0
}
