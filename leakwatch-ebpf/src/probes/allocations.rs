//! uprobes on the functions of an allocator: what one process allocates and frees. `leakwatch trace` loads and attaches these,
//! each to the functions that take their arguments in the same places.
//!
//! A call that allocates is seen twice, where it begins (how much) and where it returns (where). One that is made by another
//! one, `calloc` calling `malloc`, is not an allocation of its own: it lies deeper on the stack than the one under way.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_probe_read_user},
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use leakwatch_common::{
    allocation::{LiveAllocation, PendingAllocation, Total},
    counter::Budget,
    kind::Kind,
    stack::NO_SAMPLE,
};

use crate::{
    arch::{RETURN_ADDRESS_BYTES, program_counter, stack_pointer},
    budget, clock,
    globals::setting,
    maps::{ALLOCATION_CALLS, ALLOCATION_CONTROL, ALLOCATION_TOTALS, LIVE_ALLOCATIONS, PENDING_ALLOCATIONS},
    stack,
};

/// A call that was left by `longjmp` never returns; after so many deeper ones it is given up.
const MOST_NESTED: u32 = 16;

const NOTHING: LiveAllocation = LiveAllocation {
    bytes: 0,
    birth_ns: 0,
    sample: NO_SAMPLE,
    reserved: 0,
};

/// `malloc(size)`, `operator new(size)`
#[uprobe]
fn allocate(ctx: ProbeContext) -> u32 {
    began(&ctx, argument(&ctx, 0), 0, 0);
    0
}

/// `aligned_alloc(alignment, size)`, `memalign(alignment, size)`
#[uprobe]
fn allocate_aligned(ctx: ProbeContext) -> u32 {
    began(&ctx, argument(&ctx, 1), 0, 0);
    0
}

/// `posix_memalign(result, alignment, size)`
#[uprobe]
fn allocate_into(ctx: ProbeContext) -> u32 {
    began(&ctx, argument(&ctx, 2), argument(&ctx, 0), 0);
    0
}

/// `calloc(count, size)`
#[uprobe]
fn allocate_array(ctx: ProbeContext) -> u32 {
    let bytes = argument(&ctx, 0).wrapping_mul(argument(&ctx, 1));
    began(&ctx, bytes, 0, 0);
    0
}

/// `realloc(address, size)`
#[uprobe]
fn reallocate(ctx: ProbeContext) -> u32 {
    began(&ctx, argument(&ctx, 1), 0, argument(&ctx, 0));
    0
}

/// The return of each of the above.
#[uretprobe]
fn allocated(ctx: RetProbeContext) -> u32 {
    if let Some(call) = returned(&ctx) {
        ended(&call, ctx.ret::<u64>());
    }
    0
}

/// `free(address)`, `operator delete(address)`
#[uprobe]
fn deallocate(ctx: ProbeContext) -> u32 {
    add(Total::Frees);
    forget(argument(&ctx, 0));
    0
}

/// Only counts, to know the rates beforehand.
#[uprobe]
fn count_calls(ctx: ProbeContext) -> u32 {
    let address = program_counter(ctx.regs);
    if let Some(calls) = ALLOCATION_CALLS.get_ptr_mut(address) {
        // SAFETY: a per-CPU map value. A thread that is interrupted here by another one can at worst cost a count.
        unsafe { *calls += 1 };
    } else {
        let _ = ALLOCATION_CALLS.insert(address, 1, 0);
    }
    0
}

#[inline(always)]
fn argument(ctx: &ProbeContext, index: usize) -> u64 {
    ctx.arg(index).unwrap_or(0)
}

#[inline(always)]
fn thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn began(ctx: &ProbeContext, bytes: u64, result: u64, replaced: u64) {
    add(Total::Allocations);
    let sp = stack_pointer(ctx.regs);
    let thread = thread();
    let under_way = PENDING_ALLOCATIONS.get_ptr_mut(thread);
    if let Some(under_way) = under_way {
        // SAFETY: a map value that only this thread uses.
        let under_way = unsafe { &mut *under_way };
        if sp < under_way.sp && under_way.nested < MOST_NESTED {
            under_way.nested += 1;
            return;
        }
    }
    let call = PendingAllocation {
        sp,
        bytes,
        result,
        replaced,
        // Before the call: another thread may be given this address while it runs.
        before: forget(replaced),
        nested: 0,
        reserved: 0,
    };
    match under_way {
        // SAFETY: as above.
        Some(under_way) => unsafe { *under_way = call },
        None => {
            if PENDING_ALLOCATIONS.insert(thread, call, 0).is_err() {
                add(Total::ThreadsFull);
            }
        }
    }
}

/// The call that this return ends; `None` for one that was made by another one.
#[inline(always)]
fn returned(ctx: &RetProbeContext) -> Option<PendingAllocation> {
    let under_way = PENDING_ALLOCATIONS.get_ptr_mut(thread())?;
    // SAFETY: a map value that only this thread uses.
    let under_way = unsafe { &mut *under_way };
    if under_way.sp == 0 || stack_pointer(ctx.regs) < under_way.sp.wrapping_add(RETURN_ADDRESS_BYTES) {
        return None;
    }
    let call = *under_way;
    under_way.sp = 0;
    Some(call)
}

#[inline(always)]
fn ended(call: &PendingAllocation, returned: u64) {
    let address = if call.result == 0 {
        returned
    } else if returned as u32 == 0 {
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_user(call.result as *const u64) }.unwrap_or(0)
    } else {
        0
    };
    if address != 0 {
        // Given back by a function that is not probed, or before its probe was attached.
        forget(address);
        if is_followed() {
            born(address, call.bytes);
        }
    } else if call.before.birth_ns != 0 && call.bytes != 0 {
        // `realloc` failed: what it was given is still there.
        let _ = LIVE_ALLOCATIONS.insert(call.replaced, call.before, 0);
    }
}

#[inline(always)]
fn born(address: u64, bytes: u64) {
    add(Total::Sampled);
    if !budget::take(Budget::Stacks, setting!(stacks_per_second), clock::now_ns()) {
        add(Total::Shed);
        return;
    }
    let sample = stack::take_stack(Kind::Allocation as u32, 1, bytes);
    let live = LiveAllocation {
        bytes,
        // SAFETY: takes no arguments.
        birth_ns: unsafe { bpf_ktime_get_ns() },
        sample,
        reserved: 0,
    };
    if sample == NO_SAMPLE || LIVE_ALLOCATIONS.insert(address, live, 0).is_err() {
        add(Total::Shed);
    }
}

/// What was known of an allocation that is given back now.
#[inline(always)]
fn forget(address: u64) -> LiveAllocation {
    if address == 0 {
        return NOTHING;
    }
    // SAFETY: copied at once; an address is given back once, so nobody else removes it.
    let Some(live) = (unsafe { LIVE_ALLOCATIONS.get(address) }).copied() else {
        return NOTHING;
    };
    let _ = LIVE_ALLOCATIONS.remove(address);
    live
}

#[inline(always)]
fn is_followed() -> bool {
    ALLOCATION_CONTROL.get(0).is_some_and(|control| {
        // SAFETY: takes no arguments.
        let random = unsafe { bpf_get_prandom_u32() };
        random & control.mask == 0
    })
}

#[inline(always)]
fn add(total: Total) {
    if let Some(total) = ALLOCATION_TOTALS.get_ptr_mut(total as u32) {
        // SAFETY: a per-CPU map value. A thread that is interrupted here by another one can at worst cost a count.
        unsafe { *total += 1 };
    }
}
