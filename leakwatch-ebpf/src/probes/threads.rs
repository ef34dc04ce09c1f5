//! `iter/task`: where the threads of one process wait, whenever they were started.

use aya_ebpf::{helpers::generated::bpf_task_pt_regs, macros::map, maps::Array};
use leakwatch_common::levels::ThreadRow;

use super::iterator::{self, TaskContext};
use crate::{
    arch::{PT_REGS_BELOW_STACK_TOP, UserRegisters},
    globals::{offset, setting},
    kernel::Object,
};

/// The process that is wanted; the agent writes it before it reads.
#[map]
static THREADS_OF: Array<u32> = Array::with_max_entries(1, 0);

/// Writes one [`ThreadRow`] per thread that is not running: a running one's registers are those of its last system call.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn threads(ctx: *mut TaskContext) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier checks each access.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    let Some(task) = Object::new(task) else {
        return 0;
    };
    let tgid = task.load::<u32>(offset!(task_tgid));
    if THREADS_OF.get(0).is_none_or(|&wanted| wanted != tgid) {
        return 0;
    }
    if let Some(row) = row(task, tgid) {
        iterator::write(meta, &row);
    }
    0
}

#[inline(always)]
fn row(task: Object, tgid: u32) -> Option<ThreadRow> {
    // 0 is TASK_RUNNING, include/linux/sched.h.
    if task.load::<u32>(offset!(task_state)) == 0 {
        return None;
    }
    let registers = if setting!(has_task_pt_regs) != 0 {
        // SAFETY: the iterator holds the task.
        unsafe { bpf_task_pt_regs(task.at(0) as *mut _) }.cast_unsigned()
    } else {
        task.load::<u64>(offset!(task_stack))
            .wrapping_add(PT_REGS_BELOW_STACK_TOP)
    };
    let registers = UserRegisters::read(registers)?;
    Some(ThreadRow {
        start_boottime_ns: task.load(offset!(task_start_boottime)),
        pc: registers.pc,
        sp: registers.sp,
        fp: registers.fp,
        lr: registers.lr,
        tgid,
        tid: task.load(offset!(task_pid)),
    })
}
