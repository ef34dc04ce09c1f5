//! leakwatch's eBPF programs.
//!
//! | module | hook | says |
//! |---|---|---|
//! | [`probes::syscalls`] | `tp_btf/sys_exit` | which system call took or gave back what; dispatches to `fd` and `memory` |
//! | [`probes::lifecycle`] | `tp_btf/sched_process_{fork,exec,exit}` | births and deaths of processes and threads |
//! | [`probes::faults`] | `perf_event` `page-faults` | who touches memory first, sampled |
//! | [`probes::allocations`] | uprobes | what one process allocates and frees; loaded by `leakwatch trace` only |
//! | [`probes::tasks`] | `iter/task` | levels of every process |
//! | [`probes::threads`] | `iter/task` | where the threads of one process wait |
//! | [`probes::files`] | `iter/task_file` | every open descriptor's kind |
//! | [`probes::vmas`] | `iter/task_vma` | every anonymous mapping |
//!
//! Counting comes first and never depends on the feed: [`site`] adds to maps that the agent reads; [`feed`] makes
//! records and [`stack`] samples call stacks, within budgets.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "a call saves and restores registers on a path that is counted in nanoseconds"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "registers are 64 bits wide and hold values of 32; there is no panic to turn an error into"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "aya's attributes hand the context to a program by value"
)]

mod arch;
mod budget;
mod clock;
mod counters;
mod feed;
mod globals;
mod interpreter;
mod kernel;
mod maps;
mod probes;
mod process;
mod site;
mod stack;

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
