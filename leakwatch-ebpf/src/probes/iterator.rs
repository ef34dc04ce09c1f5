//! What all BPF iterators share.

use core::{ffi::c_void, ptr};

use aya_ebpf::helpers::bpf_seq_write;

/// `struct bpf_iter_meta`, include/linux/bpf.h. The verifier types the members by BTF, so they are read directly.
#[repr(C)]
pub(crate) struct Meta {
    pub(crate) seq: *mut c_void,
    pub(crate) session_id: u64,
    /// Elements shown before this one in this session.
    pub(crate) seq_num: u64,
}

/// `struct bpf_iter__task`, the context of `iter/task`.
#[repr(C)]
pub(crate) struct TaskContext {
    pub(crate) meta: *const Meta,
    pub(crate) task: u64,
}

/// Appends a row to what the reader of the iterator gets. When its buffer is full the kernel drops the row and shows the
/// same element again on the next read, so a program keeps no state between elements.
#[inline(always)]
pub(crate) fn write<R>(meta: *const Meta, row: &R) {
    // SAFETY: `meta` comes from the context; the helper copies `row` before it returns.
    unsafe {
        bpf_seq_write(
            (*meta).seq.cast(),
            ptr::from_ref(row).cast_mut().cast(),
            size_of::<R>() as u32,
        );
    }
}
