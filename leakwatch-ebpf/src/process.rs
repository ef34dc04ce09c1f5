//! Processes that took something, and what is forgotten when one ends.

use aya_ebpf::bindings::BPF_NOEXIST;
use leakwatch_common::{
    counter::Counter,
    site::{FDS_PER_PAGE, FdPageKey, Process, SITES_PER_PROCESS},
};

use crate::{
    counters::count,
    globals::offset,
    kernel::task::{self, Task},
    maps::{FD_PAGES, PROCESSES},
};

/// The entry of the running process, made on its first event; `None` (counted) when the table is full.
#[inline(always)]
pub(crate) fn current(tgid: u32) -> Option<&'static mut Process> {
    if let Some(process) = PROCESSES.get_ptr_mut(tgid) {
        // SAFETY: a map value, which stays valid while a program runs; members are written by plain stores of whole words.
        return Some(unsafe { &mut *process });
    }
    insert(tgid, Task::current()?.leader()?, tgid)
}

/// Makes the entry of `leader`'s process.
#[inline(always)]
pub(crate) fn insert(tgid: u32, leader: Task, fd_table: u32) -> Option<&'static mut Process> {
    let process = Process {
        start_boottime_ns: leader.start_boottime_ns()?,
        exec_id: leader.exec_id()?,
        fd_table,
        brk: leader.mm().and_then(|mm| mm.read(offset!(mm_brk))).unwrap_or(0),
        sites: [0; SITES_PER_PROCESS],
    };
    // Another thread of the process may have been faster; then its entry stands.
    let _ = PROCESSES.insert(tgid, process, u64::from(BPF_NOEXIST));
    let Some(process) = PROCESSES.get_ptr_mut(tgid) else {
        count(Counter::ProcessesFull);
        return None;
    };
    // SAFETY: as above.
    Some(unsafe { &mut *process })
}

/// Pages that the walk below reaches. The verifier follows every iteration, and some kernels (6.12) slowly: the bound is
/// also its cost.
const MAX_PAGES: u32 = 2048;
/// Descriptors from here up are not followed, because the walk would not reach their pages.
pub(crate) const MAX_FD: u32 = MAX_PAGES * FDS_PER_PAGE;

/// Drops what is kept of the process `tgid` that `task` belongs to: on exit, and on exec, after which its descriptors
/// are inherited and its sites belong to an image that is gone.
#[inline(always)]
pub(crate) fn forget(tgid: u32, task: Task) {
    let Some(process) = PROCESSES.get_ptr_mut(tgid) else {
        return;
    };
    // SAFETY: a map value, see `current`.
    let owns_table = unsafe { (*process).fd_table } == tgid;
    let slots = task.files().map_or(0, task::fd_table_slots);
    if owns_table {
        for page in 0..MAX_PAGES {
            if page * FDS_PER_PAGE >= slots {
                break;
            }
            let _ = FD_PAGES.remove(FdPageKey { fd_table: tgid, page });
        }
    }
    let _ = PROCESSES.remove(tgid);
}
