//! `iter/task`: the levels of every process. About 1 us a process, where `/proc` takes 40.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use leakwatch_common::{
    COMM_LEN,
    levels::{TaskRow, flag},
    settings::ABSENT,
};

use super::iterator::{self, TaskContext};
use crate::{
    globals::{offset, setting},
    kernel::{
        Object, percpu, read_at,
        task::{PF_KTHREAD, RssCounter, rss_pages},
    },
};

/// `RLIMIT_NOFILE`, include/uapi/asm-generic/resource.h.
const RLIMIT_NOFILE: u32 = 7;
/// `EXIT_ZOMBIE | EXIT_DEAD`, include/linux/sched.h.
const EXIT_STATES: u32 = 0x30;

/// The row that is being filled, see [`fill`].
#[map]
static ROW: PerCpuArray<TaskRow> = PerCpuArray::with_max_entries(1, 0);

/// Writes one [`TaskRow`] per process.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn tasks(ctx: *mut TaskContext) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier checks each access.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    let Some(task) = Object::new(task) else {
        return 0;
    };
    // SAFETY: as above.
    if offset!(percpu_counter_count) != ABSENT && unsafe { (*meta).seq_num } == 0 {
        percpu::locate();
    }
    let Some(row) = ROW.get_ptr_mut(0) else { return 0 };
    // SAFETY: a per-CPU map value, and iterators do not nest.
    let row = unsafe { &mut *row };
    if fill(task, row).is_some() {
        iterator::write(meta, row);
    }
    0
}

/// Fills the row of the process, if `task` is the one to read it from: the leader, or, when the leader has exited and so
/// has let go of memory and descriptors, any thread that still has them.
///
/// `row` is in a map, and each step stores what it found before the next one begins: the verifier keeps no track of what is
/// in a map, so the steps do not multiply the paths that it has to follow.
#[inline(always)]
fn fill(task: Object, row: &mut TaskRow) -> Option<()> {
    if task.load::<u32>(offset!(task_flags)) & PF_KTHREAD != 0 {
        return None;
    }
    let leader = task.load_object(offset!(task_group_leader))?;
    let leader_mm = leader.load::<u64>(offset!(task_mm));
    let is_leader = task.load::<u32>(offset!(task_pid)) == task.load::<u32>(offset!(task_tgid));
    if !is_leader && leader_mm != 0 {
        return None;
    }
    row.flags = 0;
    identity(task, leader, row)?;
    if leader_mm == 0 && row.threads > 1 {
        if is_leader {
            return None;
        }
        // The dead leader is counted until the last thread has gone.
        row.threads -= 1;
        row.flags |= flag::LEADER_EXITED;
    }
    memory(task, row)?;
    open_fds(task, row)
}

#[inline(always)]
fn identity(task: Object, leader: Object, row: &mut TaskRow) -> Option<()> {
    let signal = task.load_object(offset!(task_signal))?;
    row.tgid = task.load(offset!(task_tgid));
    row.start_boottime_ns = leader.load(offset!(task_start_boottime));
    row.nofile_soft = signal.load(offset!(signal_rlim) + RLIMIT_NOFILE * 16);
    row.threads = signal.load(offset!(signal_nr_threads));
    // Low half: `self_exec_id` is 32 bits wide before 5.7 and 64 since.
    row.exec_id = task.load(offset!(task_self_exec_id));
    row.parent_tgid = leader
        .load_object(offset!(task_real_parent))?
        .load(offset!(task_tgid));
    row.euid = leader.load_object(offset!(task_cred))?.load(offset!(cred_euid));
    row.comm = leader.read::<[u8; COMM_LEN]>(offset!(task_comm))?;
    row.cgroup_id = cgroup_id(leader).unwrap_or(0);
    Some(())
}

#[inline(always)]
fn memory(task: Object, row: &mut TaskRow) -> Option<()> {
    row.rss_anon_bytes = 0;
    row.rss_file_bytes = 0;
    row.rss_shmem_bytes = 0;
    row.swap_bytes = 0;
    row.total_vm_bytes = 0;
    row.start_brk = 0;
    row.brk = 0;
    row.map_count = 0;
    let Some(mm) = task.load_object(offset!(task_mm)) else {
        if task.load::<u32>(offset!(task_exit_state)) & EXIT_STATES != 0 {
            row.flags |= flag::ZOMBIE;
        }
        return Some(());
    };
    row.total_vm_bytes = mm.load::<u64>(offset!(mm_total_vm)) * page_bytes();
    row.start_brk = mm.load(offset!(mm_start_brk));
    row.brk = mm.load(offset!(mm_brk));
    row.map_count = mm.load(offset!(mm_map_count));
    row.flags |= flag::RSS_EXACT;
    resident(mm, RssCounter::Anon, &mut row.rss_anon_bytes, &mut row.flags)?;
    resident(mm, RssCounter::Swap, &mut row.swap_bytes, &mut row.flags)?;
    resident(mm, RssCounter::File, &mut row.rss_file_bytes, &mut row.flags)?;
    resident(mm, RssCounter::Shmem, &mut row.rss_shmem_bytes, &mut row.flags)
}

#[inline(always)]
fn resident(mm: Object, counter: RssCounter, bytes: &mut u64, flags: &mut u32) -> Option<()> {
    let (pages, exact) = rss_pages(mm, counter)?;
    *bytes = pages * page_bytes();
    if !exact {
        *flags &= !flag::RSS_EXACT;
    }
    Some(())
}

#[inline(always)]
fn page_bytes() -> u64 {
    u64::from(setting!(page_bytes))
}

#[inline(always)]
fn cgroup_id(task: Object) -> Option<u64> {
    let cgroup = task
        .load_object(offset!(task_cgroups))?
        .load_object(offset!(css_set_dfl_cgrp))?;
    Some(
        cgroup
            .load_object(offset!(cgroup_kn))?
            .load(offset!(kernfs_node_id)),
    )
}

/// The number of open descriptors, from the bitmap `fdtable.open_fds`.
#[inline(always)]
fn open_fds(task: Object, row: &mut TaskRow) -> Option<()> {
    row.fds = 0;
    let Some(files) = task.load_object(offset!(task_files)) else {
        return Some(());
    };
    let fdt = files.load_object(offset!(files_fdt))?;
    let slots = fdt.load::<u32>(offset!(fdtable_max_fds));
    if slots > MAX_READS * FDS_PER_READ {
        row.flags |= flag::FDS_TRUNCATED;
    }
    row.fds = count_bits(fdt.read(offset!(fdtable_open_fds))?, slots);
    Some(())
}

/// Words of the bitmap read at once.
const WORDS: usize = 16;
const FDS_PER_READ: u32 = WORDS as u32 * 64;
/// 128 reads of 1024 descriptors. The verifier follows every iteration, so the bound is also its cost; the agent counts
/// the few tables that are larger.
const MAX_READS: u32 = 128;

/// Counts the ones among the first `bits` bits of kernel memory.
///
/// A global function in the eBPF sense, which the verifier checks once on its own instead of once per path that leads to
/// a call.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn count_bits(bitmap: u64, bits: u32) -> u32 {
    let mut ones = 0;
    for read in 0..MAX_READS {
        let first = read * FDS_PER_READ;
        if first >= bits {
            break;
        }
        let at = bitmap + u64::from(first / 8);
        if bits - first >= FDS_PER_READ {
            let Some(words) = read_at::<[u64; WORDS]>(at) else {
                break;
            };
            for word in words {
                ones += word.count_ones();
            }
            continue;
        }
        // The rest of a table that is not a multiple of one read: a fresh one has 64 slots.
        for word in 0..WORDS as u32 {
            if first + word * 64 >= bits {
                break;
            }
            ones += read_at::<u64>(at + u64::from(word) * 8).map_or(0, u64::count_ones);
        }
        break;
    }
    ones
}
