//! The probe catalogue: every program, what it hooks, what is lost without it.

/// One program and how it is attached.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Name of the program in the eBPF object.
    pub program: &'static str,
    /// What it is attached to.
    pub hook: Hook,
    /// First kernel that has the hook.
    pub min_kernel: (u32, u32),
    /// What a user does not see without it.
    pub shows: &'static str,
    /// What is used instead where the hook is missing; without one a missing hook is a failure.
    pub fallback: Option<&'static str>,
    /// Without it leakwatch cannot say anything.
    pub required: bool,
}

/// A place in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// BTF-typed raw tracepoint.
    Tracepoint(&'static str),
    /// BPF iterator.
    Iterator(&'static str),
    /// The software perf event `page-faults`, on each CPU.
    PageFaults,
}

impl Hook {
    /// As it is written in `bpftool` and in the programs' section names.
    pub fn label(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("tp_btf/{name}"),
            Self::Iterator(name) => format!("iter/{name}"),
            Self::PageFaults => "perf_event/page-faults".to_owned(),
        }
    }
}

/// Every probe. `leakwatch doctor` loads and attaches each.
pub const PROBES: &[Probe] = &[
    Probe {
        program: "tasks",
        hook: Hook::Iterator("task"),
        min_kernel: (5, 8),
        shows: "memory, descriptors and threads of every process",
        fallback: None,
        required: true,
    },
    Probe {
        program: "files",
        hook: Hook::Iterator("task_file"),
        min_kernel: (5, 8),
        shows: "descriptors by kind",
        fallback: None,
        required: false,
    },
    Probe {
        program: "vmas",
        hook: Hook::Iterator("task_vma"),
        min_kernel: (5, 12),
        shows: "mapped anonymous memory",
        fallback: Some("/proc/PID/maps"),
        required: false,
    },
    Probe {
        program: "sys_exit",
        hook: Hook::Tracepoint("sys_exit"),
        min_kernel: (5, 5),
        shows: "which system call and call site takes descriptors and memory",
        fallback: None,
        required: false,
    },
    Probe {
        program: "sched_process_fork",
        hook: Hook::Tracepoint("sched_process_fork"),
        min_kernel: (5, 5),
        shows: "which call site starts threads; what a child inherits",
        fallback: None,
        required: false,
    },
    Probe {
        program: "sched_process_exec",
        hook: Hook::Tracepoint("sched_process_exec"),
        min_kernel: (5, 5),
        shows: "where one program image ends and the next begins",
        fallback: None,
        required: false,
    },
    Probe {
        program: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        min_kernel: (5, 5),
        shows: "ends of threads and processes",
        fallback: None,
        required: false,
    },
    Probe {
        program: "page_faults",
        hook: Hook::PageFaults,
        min_kernel: (4, 9),
        shows: "which call site touches memory first",
        fallback: None,
        required: false,
    },
];
