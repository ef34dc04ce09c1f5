//! Fills [`Offsets`] from the running kernel's type information.

use leakwatch_common::settings::{ABSENT, Offsets};

use super::btf::{BtfError, KernelTypes};

/// What every supported kernel has is an error when missing; what only some have is [`ABSENT`].
pub(super) fn look_up(types: &KernelTypes<'_>) -> Result<Offsets, BtfError> {
    let at = |strukt, member| types.offset(strukt, member);
    // 6.2 turned the resident-set counters into per-CPU ones.
    let percpu_rss = at("mm_struct", "rss_stat.count").is_err();
    let percpu_counter = |member| {
        if percpu_rss {
            at("percpu_counter", member)
        } else {
            Ok(ABSENT)
        }
    };
    let compat_word = if cfg!(target_arch = "x86_64") {
        "thread_info.status"
    } else {
        "thread_info.flags"
    };
    let thread_pointer = if cfg!(target_arch = "x86_64") {
        "thread.fsbase"
    } else {
        "thread.uw.tp_value"
    };
    Ok(Offsets {
        task_pid: at("task_struct", "pid")?,
        task_tgid: at("task_struct", "tgid")?,
        task_flags: at("task_struct", "flags")?,
        task_exit_state: at("task_struct", "exit_state")?,
        task_group_leader: at("task_struct", "group_leader")?,
        task_real_parent: at("task_struct", "real_parent")?,
        task_start_boottime: at("task_struct", "start_boottime")?,
        task_self_exec_id: at("task_struct", "self_exec_id")?,
        task_comm: at("task_struct", "comm")?,
        task_mm: at("task_struct", "mm")?,
        task_state: at("task_struct", "__state").or_else(|_| at("task_struct", "state"))?,
        task_stack: at("task_struct", "stack")?,
        task_files: at("task_struct", "files")?,
        task_signal: at("task_struct", "signal")?,
        task_cred: at("task_struct", "cred")?,
        task_cgroups: at("task_struct", "cgroups")?,
        task_compat_word: at("task_struct", compat_word)?,
        task_thread_pointer: at("task_struct", thread_pointer).unwrap_or(ABSENT),
        signal_nr_threads: at("signal_struct", "nr_threads")?,
        signal_live: at("signal_struct", "live")?,
        signal_rlim: at("signal_struct", "rlim")?,
        cred_euid: at("cred", "euid")?,
        css_set_dfl_cgrp: at("css_set", "dfl_cgrp")?,
        cgroup_kn: at("cgroup", "kn")?,
        kernfs_node_id: at("kernfs_node", "id")?,
        files_fdt: at("files_struct", "fdt")?,
        fdtable_max_fds: at("fdtable", "max_fds")?,
        fdtable_open_fds: at("fdtable", "open_fds")?,
        mm_total_vm: at("mm_struct", "total_vm")?,
        mm_map_count: at("mm_struct", "map_count")?,
        mm_start_brk: at("mm_struct", "start_brk")?,
        mm_brk: at("mm_struct", "brk")?,
        mm_rss_stat: at("mm_struct", "rss_stat")?,
        rss_stat_stride: if percpu_rss {
            types.size("percpu_counter")?
        } else {
            8
        },
        percpu_counter_count: percpu_counter("count")?,
        percpu_counter_counters: percpu_counter("counters")?,
        bpf_array_pptrs: at("bpf_array", "pptrs")?,
        vma_vm_start: at("vm_area_struct", "vm_start")?,
        vma_vm_end: at("vm_area_struct", "vm_end")?,
        vma_vm_ops: at("vm_area_struct", "vm_ops")?,
        file_f_inode: at("file", "f_inode")?,
        file_dentry: at("file", "f_path.dentry")?,
        inode_i_mode: at("inode", "i_mode")?,
        inode_i_sb: at("inode", "i_sb")?,
        super_block_s_magic: at("super_block", "s_magic")?,
        dentry_name: at("dentry", "d_name.name")?,
        dentry_parent: at("dentry", "d_parent")?,
    })
}
