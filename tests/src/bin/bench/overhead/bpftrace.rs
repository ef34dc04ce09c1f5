//! What one would write for bpftrace to count the same calls.

use std::{fmt::Write as _, process::Command, time::Duration};

use anyhow::Result;

use crate::process::Background;

/// The calls, each with the argument without which a count says little, and when it was successful.
const CALLS: [(&str, &str, &str); 6] = [
    ("mmap", "len", "args->ret >= 0"),
    ("munmap", "len", "args->ret == 0"),
    ("openat", "flags", "args->ret >= 0"),
    ("close", "fd", "args->ret == 0"),
    ("dup", "fildes", "args->ret >= 0"),
    ("clone", "clone_flags", "args->ret > 0"),
];

/// Compiling and attaching takes it a few seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One count by process and call, at the call's end.
pub(super) fn exit_only() -> String {
    let mut script = String::new();
    for (call, _, success) in CALLS {
        let _ = writeln!(
            script,
            "tracepoint:syscalls:sys_exit_{call} /{success}/ {{ @{call}[pid] = count(); }}"
        );
    }
    script + ENDS
}

/// The same with the argument, which only the entry shows.
pub(super) fn with_arguments() -> String {
    let mut script = String::new();
    for (call, argument, success) in CALLS {
        let _ = writeln!(
            script,
            "tracepoint:syscalls:sys_enter_{call} {{ @{call}_{argument}[tid] = args->{argument}; }}\n\
             tracepoint:syscalls:sys_exit_{call} /{success}/ {{ @{call}[pid] = count(); delete(@{call}_{argument}[tid]); }}"
        );
    }
    script + ENDS
}

const ENDS: &str = "tracepoint:sched:sched_process_exit { @exit[pid] = count(); }\n\
                    interval:s:1 { printf(\"second\\n\"); }\n";

/// bpftrace looks for the kernel's events here; where nothing is mounted it gets a mount that only it sees.
const WITH_EVENTS: &str = "test -e /sys/kernel/debug/tracing/events || mount -t debugfs nodev /sys/kernel/debug; \
                           exec bpftrace \"$@\"";

/// Runs a script and returns when all of it is attached: its clock has ticked, and then once more.
pub(super) fn start(script: &str) -> Result<Background> {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        WITH_EVENTS,
        "sh",
        "-B",
        "line",
        "-e",
        script,
    ]);
    let mut bpftrace = Background::start(command)?;
    bpftrace.wait_for("Attaching", PATIENCE)?;
    for _ in 0..2 {
        bpftrace.wait_for("second", PATIENCE)?;
    }
    Ok(bpftrace)
}
