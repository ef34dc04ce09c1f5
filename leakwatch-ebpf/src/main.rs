//! leakwatch's eBPF programs.
//!
//! | module | hook | says |
//! |---|---|---|
//! | [`probes::syscalls`] | `tp_btf/sys_exit` | which system call took or gave back what; dispatches to `fd` and `memory` |
//! | [`probes::lifecycle`] | `tp_btf/sched_process_{fork,exec,exit}` | births and deaths of processes and threads |
//! | [`probes::faults`] | `perf_event` `page-faults` | who touches memory first, sampled |
//! | [`probes::tasks`] | `iter/task` | levels of every process |
//! | [`probes::files`] | `iter/task_file` | every open descriptor's kind |
//! | [`probes::vmas`] | `iter/task_vma` | every anonymous mapping |
//!
//! Counting comes first and never depends on the feed: [`site`] adds to maps that the agent reads; [`feed`] makes
//! records within a budget.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod arch;
mod budget;
mod counters;
mod feed;
mod globals;
mod kernel;
mod maps;
mod probes;
mod process;
mod site;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never reached: the verifier refuses a program with a reachable endless loop, and no code here panics.
    unsafe { core::hint::unreachable_unchecked() }
}

/// The kernel lends its GPL-only helpers (stacks, reads of kernel memory) to programs under this licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
