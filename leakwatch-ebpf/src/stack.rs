//! Which births get a stack, and the copy of it.
//!
//! No frame pointers are needed: what goes to the agent is the registers and the stack itself, up to
//! [`MAX_STACK_BYTES`], and it unwinds them with the tables in the binaries. That costs microseconds, so each CPU has a
//! budget a second. For a hot call not to spend all of it, births are told apart into classes, by process, kind and depth of
//! the stack: the stack pointer of a call path is the same each time, but for the thread. Each class has its turns, at random
//! distances, and what it gives birth to between two of them is the weight of the later one. When the classes together want
//! more than the budget, all come less often: were it spent early in each second, what happens later would never be seen.

use core::hint::black_box;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{
        bpf_get_current_task_btf, bpf_get_prandom_u32, bpf_get_smp_processor_id,
        generated::{bpf_probe_read_user, bpf_ringbuf_output, bpf_task_pt_regs},
    },
};
use leakwatch_common::{
    counter::{Budget, Counter},
    interpreter::FrameWords,
    kind::Kind,
    stack::{
        CLASSES as CLASS_COUNT, Class, MAX_FRAME_BYTES, MAX_STACK_BYTES, NO_SAMPLE, SUSPECT_WORDS,
        StackBuffer, StackTaken,
    },
};

use crate::{
    arch::{PT_REGS_BELOW_STACK_TOP, UserRegisters},
    budget, clock,
    counters::count,
    globals::{offset, setting},
    interpreter,
    kernel::task::Task,
    maps::{CLASSES, STACK_BUFFERS, STACK_FEED, SUSPECTS},
};

/// Births between two samples of a class, at the most and half.
const MOST_BIRTHS_BETWEEN: u64 = 1 << 20;
/// The same while the budget is spent.
const MOST_BIRTHS_AT_NO_TIME: u32 = 64;

/// Pages that hold [`MAX_STACK_BYTES`] wherever they begin.
const MAX_PAGES: u32 = MAX_STACK_BYTES / PAGE + 1;
const PAGE: u32 = 4096;

/// Takes the stack of the running thread, which gave birth to `item`, if it is the turn of births like this one. Returns the
/// number of the sample, or [`NO_SAMPLE`].
///
/// `sp` only tells classes apart and may be 0.
#[inline(always)]
pub(crate) fn sample(kind: Kind, tgid: u32, sp: u64, now_ns: u64, item: u64) -> u32 {
    let weight = turn(kind, tgid, sp, now_ns);
    if weight == 0 {
        return NO_SAMPLE;
    }
    take_stack(kind as u32, weight, item)
}

/// For how many births the sample stands; 0 when this one is not sampled.
#[inline(always)]
fn turn(kind: Kind, tgid: u32, sp: u64, now_ns: u64) -> u32 {
    if setting!(stacks_of_suspects) != 0 && !is_suspect(tgid) {
        return 0;
    }
    // Threads of a pool have their stacks at different pages and the same frame at the same place of its page.
    let tag = u64::from(tgid) << 32 | u64::from(kind as u32) << 16 | (sp & 0xfff);
    let Some(class) = class_of(tag) else {
        return 0;
    };
    class.births = class.births.wrapping_add(1);
    if class.births < class.turn {
        return 0;
    }
    if tgid == setting!(agent_tgid) || !budget::take(Budget::Stacks, setting!(stacks_per_second), now_ns) {
        class.turn = class.births.wrapping_add(any_up_to(MOST_BIRTHS_AT_NO_TIME));
        return 0;
    }
    let weight = class.births;
    // At the rate since the last sample so many are born until the next one is due.
    let pressure = budget::pressure(Budget::Stacks);
    let interval = if is_suspect(tgid) {
        u64::from(setting!(suspect_interval_ns)) << (pressure / 2)
    } else {
        u64::from(setting!(class_interval_ns)) << pressure
    };
    let elapsed = now_ns
        .wrapping_sub(class.sampled_ns)
        .max(u64::from(setting!(jiffy_ns)));
    let due = (u64::from(weight) * interval / elapsed).min(MOST_BIRTHS_BETWEEN);
    // Anywhere from the next to twice as many: always the same one would be that of a loop that beats at the same time.
    class.turn = 1 + any_up_to(2 * due as u32);
    class.sampled_ns = now_ns;
    class.births = 0;
    weight
}

/// The entry of a class, one of two; when both are others', that which was sampled longer ago becomes this one's.
#[inline(always)]
fn class_of(tag: u64) -> Option<&'static mut Class> {
    // Multiplicative hashing, Knuth TAOCP 3, 6.4.
    let index = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as u32 & (CLASS_COUNT - 1);
    // SAFETY: a per-CPU map value; an interrupt that runs another program in between can at worst cost a turn.
    let first = unsafe { &mut *CLASSES.get_ptr_mut(index)? };
    if first.tag == tag {
        return Some(first);
    }
    // SAFETY: as above.
    let second = unsafe { &mut *CLASSES.get_ptr_mut(index ^ 1)? };
    if second.tag == tag {
        return Some(second);
    }
    let class = if first.sampled_ns <= second.sampled_ns {
        first
    } else {
        second
    };
    class.tag = tag;
    class.sampled_ns = 0;
    class.births = 0;
    // The first birth at once; under pressure, not of every class that comes along.
    class.turn = any_up_to((1 << budget::pressure(Budget::Stacks)) - 1);
    Some(class)
}

/// A random number from 0 to `most`.
#[inline(always)]
fn any_up_to(most: u32) -> u32 {
    // SAFETY: takes no arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    random % most.wrapping_add(1).max(1)
}

#[inline(always)]
fn is_suspect(tgid: u32) -> bool {
    let bit = tgid % (SUSPECT_WORDS * 64);
    SUSPECTS
        .get(bit / 64)
        .is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// Copies and sends. One function for the kernel to verify once, not inlined at each birth; it takes plain numbers, so it
/// needs no context and finds the registers itself.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn take_stack(kind: u32, weight: u32, item: u64) -> u32 {
    // SAFETY: takes no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let (Some(registers), Some(buffer)) = (user_registers(), STACK_BUFFERS.get_ptr_mut(cpu)) else {
        count(Counter::StacksFailed);
        return NO_SAMPLE;
    };
    // SAFETY: a map value that only programs on this CPU use; `busy` keeps one that interrupts this one out.
    let buffer = unsafe { &mut *buffer };
    if buffer.busy != 0 {
        count(Counter::StacksFailed);
        return NO_SAMPLE;
    }
    buffer.busy = 1;
    let sample = fill(buffer, cpu, registers).unwrap_or(NO_SAMPLE);
    buffer.taken.kind = kind;
    buffer.taken.weight = weight;
    buffer.taken.item = item;
    let sample = if sample != NO_SAMPLE && send(buffer) {
        count(Counter::StacksTaken);
        sample
    } else {
        count(Counter::StacksDropped);
        NO_SAMPLE
    };
    buffer.busy = 0;
    sample
}

#[inline(always)]
fn fill(buffer: &mut StackBuffer, cpu: u32, registers: UserRegisters) -> Option<u32> {
    let task = Task::current()?;
    let leader = task.leader()?;
    buffer.samples = buffer.samples.wrapping_add(1);
    let sample = buffer
        .samples
        .wrapping_mul(setting!(possible_cpus))
        .wrapping_add(cpu);
    buffer.taken = StackTaken {
        start_boottime_ns: leader.start_boottime_ns()?,
        time_ns: clock::now_ns(),
        item: 0,
        pc: registers.pc,
        sp: registers.sp,
        fp: registers.fp,
        lr: registers.lr,
        tgid: task.tgid()?,
        exec_id: leader.exec_id()?,
        tid: task.tid()?,
        sample,
        kind: 0,
        weight: 0,
        len: copy(buffer, registers.sp),
        frames: 0,
    };
    interpreter::take_frames(buffer, task);
    Some(sample)
}

/// A read of user memory is all or nothing, and the end of a stack is not known: page by page, until one fails.
#[inline(always)]
fn copy(buffer: &mut StackBuffer, sp: u64) -> u32 {
    let mut len = 0;
    for _ in 0..MAX_PAGES {
        if len > MAX_STACK_BYTES - PAGE {
            break;
        }
        let from = sp.wrapping_add(u64::from(len));
        let chunk = PAGE - (from as u32 & (PAGE - 1));
        // The compiler knows the range of `len` and drops the mask that the verifier needs.
        let at = black_box(len) & (MAX_STACK_BYTES - 1);
        // SAFETY: `at` plus `chunk` is within `bytes`, which is a page longer than the mask lets `at` be. The helper
        // checks the user address and fails instead of faulting.
        let result = unsafe {
            bpf_probe_read_user(
                buffer.bytes.as_mut_ptr().add(at as usize).cast(),
                chunk,
                from as *const _,
            )
        };
        if result != 0 {
            break;
        }
        len += chunk;
    }
    len
}

#[inline(always)]
fn send(buffer: &mut StackBuffer) -> bool {
    let ring_bytes = u64::from(setting!(stack_ring_bytes));
    let flags = if STACK_FEED.query(u64::from(BPF_RB_AVAIL_DATA)) > ring_bytes / 4 {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    let frame_bytes = buffer.taken.frames * size_of::<FrameWords>() as u32;
    let len = black_box(buffer.taken.len + frame_bytes) & (2 * MAX_STACK_BYTES - 1);
    if len > MAX_STACK_BYTES + MAX_FRAME_BYTES {
        return false;
    }
    let map = (&raw const STACK_FEED).cast_mut().cast();
    // SAFETY: `map` is a ring buffer; the record and `len` bytes after it are in `buffer`.
    let result = unsafe {
        bpf_ringbuf_output(
            map,
            (&raw mut buffer.taken).cast(),
            size_of::<StackTaken>() as u64 + u64::from(len),
            u64::from(flags),
        )
    };
    result == 0
}

/// The registers with which the running thread entered the kernel; `None` for a kernel thread and for 32-bit code.
#[inline(always)]
fn user_registers() -> Option<UserRegisters> {
    let registers = if setting!(has_task_pt_regs) != 0 {
        // SAFETY: the running task is valid.
        unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) }.cast_unsigned()
    } else {
        // They are the first thing on a task's kernel stack (arch/x86/include/asm/processor.h, task_pt_regs).
        let stack = Task::current()?.0.read::<u64>(offset!(task_stack))?;
        stack.wrapping_add(PT_REGS_BELOW_STACK_TOP)
    };
    UserRegisters::read(registers)
}
