//! `iter/task`: the levels of every process. About 1 us a process, where `/proc` takes 40.

use leakwatch_common::{
    COMM_LEN,
    levels::{TaskRow, flag},
    settings::ABSENT,
};

use super::iterator::{self, Meta};
use crate::{
    globals::{offset, setting},
    kernel::{
        Object, percpu, read_at,
        task::{RssCounter, Task, rss_pages},
    },
};

/// `RLIMIT_NOFILE`, include/uapi/asm-generic/resource.h.
const RLIMIT_NOFILE: u32 = 7;
/// `EXIT_ZOMBIE | EXIT_DEAD`, include/linux/sched.h.
const EXIT_STATES: u32 = 0x30;

/// `struct bpf_iter__task`.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    task: u64,
}

/// Writes one [`TaskRow`] per process.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn tasks(ctx: *mut Context) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier checks each access.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    let Some(task) = Object::new(task).map(Task) else {
        return 0;
    };
    // SAFETY: as above.
    if offset!(percpu_counter_count) != ABSENT && unsafe { (*meta).seq_num } == 0 {
        percpu::locate();
    }
    if let Some(row) = row(task) {
        iterator::write(meta, &row);
    }
    0
}

/// The row of the process, if `task` is the one to read it from: the leader, or, when the leader has exited and so has
/// let go of memory and descriptors, any thread that still has them.
#[inline(always)]
fn row(task: Task) -> Option<TaskRow> {
    if task.is_kernel_thread() {
        return None;
    }
    let tgid = task.tgid()?;
    let leader = task.leader()?;
    let mut flags = 0;
    if task.tid()? != tgid {
        if leader.mm().is_some() || task.mm().is_none() {
            return None;
        }
        flags |= flag::LEADER_EXITED;
    }
    let object = leader.0;
    let signal = task.signal()?;
    let mut row = TaskRow {
        start_boottime_ns: leader.start_boottime_ns()?,
        cgroup_id: cgroup_id(object).unwrap_or(0),
        nofile_soft: signal.read(offset!(signal_rlim) + RLIMIT_NOFILE * 16)?,
        rss_anon_bytes: 0,
        rss_file_bytes: 0,
        rss_shmem_bytes: 0,
        swap_bytes: 0,
        total_vm_bytes: 0,
        start_brk: 0,
        brk: 0,
        tgid,
        parent_tgid: object
            .follow(offset!(task_real_parent))
            .map(Task)
            .and_then(Task::tgid)
            .unwrap_or(0),
        euid: object.follow(offset!(task_cred))?.read(offset!(cred_euid))?,
        exec_id: task.exec_id()?,
        threads: signal.read(offset!(signal_nr_threads))?,
        fds: 0,
        map_count: 0,
        flags: 0,
        comm: object.read::<[u8; COMM_LEN]>(offset!(task_comm))?,
    };
    if let Some(mm) = task.mm() {
        flags |= memory(mm, &mut row)?;
    } else if object.read::<u32>(offset!(task_exit_state))? & EXIT_STATES != 0 {
        flags |= flag::ZOMBIE;
    }
    if let Some(files) = task.files() {
        let (fds, truncated) = open_fds(files)?;
        row.fds = fds;
        flags |= truncated;
    }
    row.flags = flags;
    Some(row)
}

#[inline(always)]
fn memory(mm: Object, row: &mut TaskRow) -> Option<u32> {
    let page = u64::from(setting!(page_bytes));
    let (anon, anon_exact) = rss_pages(mm, RssCounter::Anon)?;
    let (swap, swap_exact) = rss_pages(mm, RssCounter::Swap)?;
    row.rss_anon_bytes = anon * page;
    row.swap_bytes = swap * page;
    row.rss_file_bytes = rss_pages(mm, RssCounter::File)?.0 * page;
    row.rss_shmem_bytes = rss_pages(mm, RssCounter::Shmem)?.0 * page;
    row.total_vm_bytes = mm.read::<u64>(offset!(mm_total_vm))? * page;
    row.start_brk = mm.read(offset!(mm_start_brk))?;
    row.brk = mm.read(offset!(mm_brk))?;
    row.map_count = mm.read(offset!(mm_map_count))?;
    Some(if anon_exact && swap_exact {
        flag::RSS_EXACT
    } else {
        0
    })
}

#[inline(always)]
fn cgroup_id(task: Object) -> Option<u64> {
    task.follow(offset!(task_cgroups))?
        .follow(offset!(css_set_dfl_cgrp))?
        .follow(offset!(cgroup_kn))?
        .read(offset!(kernfs_node_id))
}

/// Words of the bitmap read at once.
const WORDS: usize = 16;
const FDS_PER_READ: u32 = WORDS as u32 * 64;
/// 1024 reads of 1024 descriptors: `fs.nr_open` as it is by default. The verifier follows every iteration, so the bound
/// is also its cost.
const MAX_READS: u32 = 1024;

/// Counts the bits of `fdtable.open_fds`.
#[inline(always)]
fn open_fds(files: Object) -> Option<(u32, u32)> {
    let fdt = files.follow(offset!(files_fdt))?;
    let slots = fdt.read::<u32>(offset!(fdtable_max_fds))?;
    let bitmap = fdt.read::<u64>(offset!(fdtable_open_fds))?;
    let mut open = 0;
    for read in 0..MAX_READS {
        let first = read * FDS_PER_READ;
        if first >= slots {
            return Some((open, 0));
        }
        open += if slots - first >= FDS_PER_READ {
            let words = read_at::<[u64; WORDS]>(bitmap + u64::from(first / 8))?;
            ones(&words)
        } else {
            last_words(bitmap + u64::from(first / 8), slots - first)?
        };
    }
    Some((
        open,
        if slots > MAX_READS * FDS_PER_READ {
            flag::FDS_TRUNCATED
        } else {
            0
        },
    ))
}

/// The rest of a table that is not a multiple of one read: a fresh one has 64 slots.
#[inline(always)]
fn last_words(bitmap: u64, slots: u32) -> Option<u32> {
    let mut open = 0;
    for word in 0..WORDS as u32 {
        if word * 64 >= slots {
            break;
        }
        open += read_at::<u64>(bitmap + u64::from(word) * 8)?.count_ones();
    }
    Some(open)
}

#[inline(always)]
fn ones(words: &[u64; WORDS]) -> u32 {
    let mut ones = 0;
    for word in words {
        ones += word.count_ones();
    }
    ones
}
