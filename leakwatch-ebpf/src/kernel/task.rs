//! `struct task_struct` and what hangs off it.

use aya_ebpf::helpers::bpf_get_current_task;
use leakwatch_common::settings::ABSENT;

use super::{Object, percpu};
use crate::{arch::COMPAT_BIT, globals::offset};

/// `PF_KTHREAD`, include/linux/sched.h.
pub(crate) const PF_KTHREAD: u32 = 0x0020_0000;

/// Counters of `mm_struct.rss_stat`, include/linux/mm_types_task.h.
#[derive(Clone, Copy)]
pub(crate) enum RssCounter {
    File = 0,
    Anon = 1,
    Swap = 2,
    Shmem = 3,
}

/// A `struct task_struct`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task(pub(crate) Object);

impl Task {
    /// The running task.
    #[inline(always)]
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: takes no arguments; the task outlives the program that runs in it.
        Object::new(unsafe { bpf_get_current_task() }).map(Self)
    }

    #[inline(always)]
    pub(crate) fn tid(self) -> Option<u32> {
        self.0.read(offset!(task_pid))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> Option<u32> {
        self.0.read(offset!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        self.0
            .read::<u32>(offset!(task_flags))
            .is_none_or(|flags| flags & PF_KTHREAD != 0)
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Option<Self> {
        self.0.follow(offset!(task_group_leader)).map(Self)
    }

    /// Whether what the threads of its process share is to be read from this one: from the leader, and from any thread when
    /// the leader has exited and let go of it (the iterators then show it once for each).
    #[inline(always)]
    pub(crate) fn stands_for_process(self) -> bool {
        self.leader()
            .is_some_and(|leader| leader == self || leader.files().is_none())
    }

    #[inline(always)]
    pub(crate) fn start_boottime_ns(self) -> Option<u64> {
        self.0.read(offset!(task_start_boottime))
    }

    /// Low half: `self_exec_id` is 32 bits wide before 5.7 and 64 since.
    #[inline(always)]
    pub(crate) fn exec_id(self) -> Option<u32> {
        self.0.read(offset!(task_self_exec_id))
    }

    #[inline(always)]
    pub(crate) fn mm(self) -> Option<Object> {
        self.0.follow(offset!(task_mm))
    }

    #[inline(always)]
    pub(crate) fn files(self) -> Option<Object> {
        self.0.follow(offset!(task_files))
    }

    #[inline(always)]
    pub(crate) fn signal(self) -> Option<Object> {
        self.0.follow(offset!(task_signal))
    }

    /// What the thread's code finds its own variables by; `None` where this kernel does not say.
    ///
    /// The kernel keeps it up to date for as long as it is set by system calls, which all C libraries do.
    #[inline(always)]
    pub(crate) fn thread_pointer(self) -> Option<u64> {
        if offset!(task_thread_pointer) == ABSENT {
            return None;
        }
        self.0.read(offset!(task_thread_pointer))
    }

    /// Whether the task is inside a 32-bit system call, whose number and arguments mean something else.
    #[inline(always)]
    pub(crate) fn in_compat_syscall(self) -> bool {
        self.0
            .read::<u32>(offset!(task_compat_word))
            .is_none_or(|word| u64::from(word) & COMPAT_BIT != 0)
    }
}

/// Slots in the descriptor table (`fdtable.max_fds`); 0 when there is none.
#[inline(always)]
pub(crate) fn fd_table_slots(files: Object) -> u32 {
    files
        .follow(offset!(files_fdt))
        .and_then(|fdt| fdt.read(offset!(fdtable_max_fds)))
        .unwrap_or(0)
}

/// One resident-set counter, in pages, and whether it is exact.
///
/// From 6.2 on the kernel keeps a sum and, per CPU, what was not yet added to it: the sum alone is off by up to
/// `batch` pages a CPU (lib/percpu_counter.c: batch = max(32, 2 x CPUs)). The exact sum is taken unless the sum is so
/// large that this is below 1/128 of it.
#[inline(always)]
pub(crate) fn rss_pages(mm: Object, counter: RssCounter) -> Option<(u64, bool)> {
    let base = Object::new(mm.at(offset!(mm_rss_stat) + counter as u32 * offset!(rss_stat_stride)))?;
    if offset!(percpu_counter_count) == ABSENT {
        // Threads keep back up to 64 pages each (SPLIT_RSS_COUNTING), which may leave the sum below zero.
        return base
            .read::<i64>(0)
            .map(|pages| (pages.max(0).cast_unsigned(), false));
    }
    let sum = base.read::<i64>(offset!(percpu_counter_count))?;
    if sum >> 7 > percpu::error_bound_pages() {
        return Some((sum.cast_unsigned(), false));
    }
    let counters = base.read::<u64>(offset!(percpu_counter_counters))?;
    Some(((sum + percpu::sum_i32(counters)).max(0).cast_unsigned(), true))
}
