//! Read-only globals that the agent sets before it loads the programs. The verifier sees them as constants, so a branch
//! that a kernel cannot run is removed before that kernel looks at it.

use bytemuck::{Pod, Zeroable};

/// Byte offsets of kernel struct members, looked up in the running kernel's BTF; the name says struct and member.
///
/// A member that this kernel lacks is [`ABSENT`], and the code that needs it is behind a test of exactly that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Offsets {
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.flags`
    pub task_flags: u32,
    /// `task_struct.exit_state`
    pub task_exit_state: u32,
    /// `task_struct.group_leader`
    pub task_group_leader: u32,
    /// `task_struct.real_parent`
    pub task_real_parent: u32,
    /// `task_struct.start_boottime`, `real_start_time` before 5.5
    pub task_start_boottime: u32,
    /// `task_struct.self_exec_id`
    pub task_self_exec_id: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `task_struct.__state`, `state` before 5.14
    pub task_state: u32,
    /// `task_struct.stack`
    pub task_stack: u32,
    /// `task_struct.files`
    pub task_files: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `task_struct.cred`
    pub task_cred: u32,
    /// `task_struct.cgroups`
    pub task_cgroups: u32,
    /// `task_struct.thread_info.status` (x86) or `.flags` (arm64): says whether this is a compat system call
    pub task_compat_word: u32,
    /// `task_struct.thread.fsbase` (x86) or `.uw.tp_value` (arm64): the thread pointer; [`ABSENT`] where it is elsewhere
    pub task_thread_pointer: u32,
    /// `signal_struct.nr_threads`
    pub signal_nr_threads: u32,
    /// `signal_struct.live`
    pub signal_live: u32,
    /// `signal_struct.rlim`
    pub signal_rlim: u32,
    /// `cred.euid`
    pub cred_euid: u32,
    /// `css_set.dfl_cgrp`
    pub css_set_dfl_cgrp: u32,
    /// `cgroup.kn`
    pub cgroup_kn: u32,
    /// `kernfs_node.id`
    pub kernfs_node_id: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.max_fds`
    pub fdtable_max_fds: u32,
    /// `fdtable.open_fds`
    pub fdtable_open_fds: u32,
    /// `mm_struct.total_vm`
    pub mm_total_vm: u32,
    /// `mm_struct.map_count`
    pub mm_map_count: u32,
    /// `mm_struct.start_brk`
    pub mm_start_brk: u32,
    /// `mm_struct.brk`
    pub mm_brk: u32,
    /// `mm_struct.rss_stat`
    pub mm_rss_stat: u32,
    /// Bytes between two counters in `rss_stat`
    pub rss_stat_stride: u32,
    /// `percpu_counter.count`; [`ABSENT`] where `rss_stat` holds plain atomics (before 6.2)
    pub percpu_counter_count: u32,
    /// `percpu_counter.counters`; [`ABSENT`] as above
    pub percpu_counter_counters: u32,
    /// `bpf_array.pptrs`
    pub bpf_array_pptrs: u32,
    /// `vm_area_struct.vm_start`
    pub vma_vm_start: u32,
    /// `vm_area_struct.vm_end`
    pub vma_vm_end: u32,
    /// `vm_area_struct.vm_ops`
    pub vma_vm_ops: u32,
    /// `file.f_inode`
    pub file_f_inode: u32,
    /// `file.f_path.dentry`
    pub file_dentry: u32,
    /// `inode.i_mode`
    pub inode_i_mode: u32,
    /// `inode.i_sb`
    pub inode_i_sb: u32,
    /// `super_block.s_magic`
    pub super_block_s_magic: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
}

/// An [`Offsets`] member that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Everything else the programs are told.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Settings {
    /// Stacks taken per CPU and second; 0 takes none.
    pub stacks_per_second: u32,
    /// Time between two stacks of one class of births on one CPU, nanoseconds.
    pub class_interval_ns: u32,
    /// The same in a process of which more is wanted.
    pub suspect_interval_ns: u32,
    /// Changes of address spaces sent per CPU and second.
    pub changes_per_second: u32,
    /// Size of the ring buffer, bytes: the agent is woken early when a quarter of it is full.
    pub ring_bytes: u32,
    /// Processors the kernel may bring up (`possible`), for sums over per-CPU counters.
    pub possible_cpus: u32,
    /// The agent's own thread group, which is not sampled for page faults so that it cannot feed itself.
    pub agent_tgid: u32,
    /// Size of a page, bytes.
    pub page_bytes: u32,
    /// Time between two timer interrupts, nanoseconds.
    pub jiffy_ns: u32,
    /// 1 where `bpf_task_pt_regs` exists (5.15).
    pub has_task_pt_regs: u32,
    /// Size of the ring buffer for stacks, bytes.
    pub stack_ring_bytes: u32,
    /// 1 when stacks are taken of those in the map `SUSPECTS` only.
    pub stacks_of_suspects: u32,
}

const _: () = assert!(size_of::<Offsets>() == 47 * 4);
const _: () = assert!(size_of::<Settings>() == 48);
