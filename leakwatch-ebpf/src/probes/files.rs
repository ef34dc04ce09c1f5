//! `iter/task_file`: every open descriptor and its kind. Read only while somebody asks.

use leakwatch_common::{kind::Kind, levels::FileRow};

use super::iterator::{self, Meta};
use crate::kernel::{Object, file, task::Task};

/// `struct bpf_iter__task_file`.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    task: u64,
    fd: u32,
    file: u64,
}

/// Writes one [`FileRow`] per open descriptor. The kernel visits each descriptor table once per process.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn files(ctx: *mut Context) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier checks each access.
    let (meta, task, fd, file) = unsafe { ((*ctx).meta, (*ctx).task, (*ctx).fd, (*ctx).file) };
    let (Some(task), Some(file)) = (Object::new(task).map(Task), Object::new(file)) else {
        return 0;
    };
    if !task.stands_for_process() {
        return 0;
    }
    if let Some(tgid) = task.tgid() {
        let kind = file::kind(file).unwrap_or(Kind::Other) as u32;
        iterator::write(meta, &FileRow { tgid, fd, kind });
    }
    0
}
