//! `iter/task_vma` (5.12): every anonymous mapping. Read within a budget of time.

use leakwatch_common::levels::VmaRow;

use super::iterator::{self, Meta};
use crate::{
    globals::offset,
    kernel::{Object, task::Task},
};

/// `struct bpf_iter__task_vma`.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    task: u64,
    vma: u64,
}

/// Writes one [`VmaRow`] per anonymous mapping.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_vma")]
extern "C" fn vmas(ctx: *mut Context) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier checks each access.
    let (meta, task, vma) = unsafe { ((*ctx).meta, (*ctx).task, (*ctx).vma) };
    let (Some(task), Some(vma)) = (Object::new(task).map(Task), Object::new(vma)) else {
        return 0;
    };
    if !task.stands_for_process() {
        return 0;
    }
    if let Some(row) = row(task, vma) {
        iterator::write(meta, &row);
    }
    0
}

/// A mapping without `vm_ops` is anonymous (`vma_is_anonymous`, include/linux/mm.h); [vdso] and its like have some.
#[inline(always)]
fn row(task: Task, vma: Object) -> Option<VmaRow> {
    if vma.read::<u64>(offset!(vma_vm_ops))? != 0 {
        return None;
    }
    let start = vma.read::<u64>(offset!(vma_vm_start))?;
    let end = vma.read::<u64>(offset!(vma_vm_end))?;
    Some(VmaRow {
        start,
        len: end.wrapping_sub(start),
        tgid: task.tgid()?,
        reserved: 0,
    })
}
