//! Births and deaths of processes and threads, from the scheduler's tracepoints.

use aya_ebpf::{bindings::BPF_ANY, macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;
use leakwatch_common::{
    counter::Counter,
    kind::Kind,
    record::{ProcessExeced, ProcessExited, ProcessForked, RecordKind, ThreadEnded},
    site::Thread,
    stack::NO_SAMPLE,
};

use crate::{
    clock,
    counters::count,
    feed,
    globals::offset,
    kernel::{Object, task::Task},
    maps::{PROCESSES, THREADS},
    process,
    site::{self, Actor},
};

#[inline(always)]
fn task(ctx: &BtfTracePointContext, argument: usize) -> Option<Task> {
    Object::new(ctx.arg::<u64>(argument)).map(Task)
}

/// `sched_process_fork(parent, child)`, in the parent, before the child runs.
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> u32 {
    if let (Some(parent), Some(child)) = (task(&ctx, 0), task(&ctx, 1)) {
        let _ = forked(&ctx, parent, child);
    }
    0
}

#[inline(always)]
fn forked(ctx: &BtfTracePointContext, parent: Task, child: Task) -> Option<()> {
    let (tgid, child_tgid) = (parent.tgid()?, child.tgid()?);
    let now_ns = clock::now_ns();
    if tgid == child_tgid {
        let actor = Actor {
            ctx,
            tgid,
            sp: 0,
            now_ns,
        };
        let tid = child.tid()?;
        let thread = Thread {
            birth_ns: now_ns,
            site: actor.birth(process::current(tgid), Kind::Thread, 0),
            sample: actor.sample(Kind::Thread, u64::from(tid)),
        };
        if THREADS.insert(tid, thread, u64::from(BPF_ANY)).is_err() {
            count(Counter::ThreadsFull);
            debug!(ctx, "no room for a thread of process {}", tgid);
        }
        return Some(());
    }
    if child.is_kernel_thread() {
        return Some(());
    }
    let shares_fd_table = parent.files()? == child.files()?;
    if shares_fd_table {
        let table = PROCESSES.get_ptr_mut(tgid);
        // SAFETY: a map value, which stays valid while a program runs.
        let table = table.map_or(tgid, |process| unsafe { (*process).fd_table });
        let _ = process::insert(child_tgid, child, table);
    }
    feed::send(ProcessForked {
        header: feed::header(RecordKind::ProcessForked, tgid, now_ns),
        child_start_boottime_ns: child.start_boottime_ns()?,
        child_tgid,
        shares_fd_table: u32::from(shares_fd_table),
    });
    Some(())
}

/// `sched_process_exec(task, old_pid, bprm)`, after close-on-exec descriptors were closed.
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> u32 {
    if let Some(task) = task(&ctx, 0) {
        let _ = execed(&ctx, task, ctx.arg::<u32>(1));
    }
    0
}

#[inline(always)]
fn execed(ctx: &BtfTracePointContext, task: Task, old_tid: u32) -> Option<()> {
    let tgid = task.tgid()?;
    let now_ns = clock::now_ns();
    process::forget(tgid, task);
    debug!(ctx, "process {} runs a new program, its sites end", tgid);
    // A thread that calls execve takes over its leader's id without an exit of its own.
    if old_tid != tgid {
        thread_ended(tgid, old_tid, now_ns);
    }
    feed::send(ProcessExeced {
        header: feed::header(RecordKind::ProcessExeced, tgid, now_ns),
        start_boottime_ns: task.start_boottime_ns()?,
    });
    Some(())
}

/// `sched_process_exit(task, ..)`, in the exiting thread, before it lets go of its descriptors.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> u32 {
    if let Some(task) = task(&ctx, 0) {
        let _ = exited(task);
    }
    0
}

#[inline(always)]
fn exited(task: Task) -> Option<()> {
    let (tid, tgid) = (task.tid()?, task.tgid()?);
    let now_ns = clock::now_ns();
    thread_ended(tgid, tid, now_ns);
    // `signal->live` was decremented just before this tracepoint (kernel/exit.c, do_exit): 0 in the last thread. Two
    // threads that exit together may both see 0, and what follows may safely happen twice.
    if task.signal()?.read::<i32>(offset!(signal_live))? > 0 || task.is_kernel_thread() {
        return Some(());
    }
    process::forget(tgid, task);
    feed::send(ProcessExited {
        header: feed::header(RecordKind::ProcessExited, tgid, now_ns),
        start_boottime_ns: task.leader()?.start_boottime_ns()?,
    });
    Some(())
}

#[inline(always)]
fn thread_ended(tgid: u32, tid: u32, now_ns: u64) {
    // SAFETY: copied at once, before the entry is removed.
    let Some(&thread) = (unsafe { THREADS.get(tid) }) else {
        return;
    };
    let _ = THREADS.remove(tid);
    site::death(thread.site, now_ns.wrapping_sub(thread.birth_ns));
    if thread.sample != NO_SAMPLE {
        feed::send_death(ThreadEnded {
            header: feed::header(RecordKind::ThreadEnded, tgid, now_ns),
            birth_ns: thread.birth_ns,
            sample: thread.sample,
            tid,
        });
    }
}
