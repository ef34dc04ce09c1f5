//! The probe catalogue: every program, what it hooks, what is lost without it.

use std::fmt::Write as _;

/// The oldest kernel that leakwatch is tested on and supports, major and minor version.
pub const OLDEST_KERNEL: (u32, u32) = (5, 10);

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

/// Every probe, in the order in which they are attached: who sees deaths before who sees births, or what dies in between would
/// live on. `leakwatch doctor` loads and attaches each.
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
        program: "threads",
        hook: Hook::Iterator("task"),
        min_kernel: (5, 8),
        shows: "where threads wait that were started before leakwatch",
        fallback: None,
        required: false,
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
        program: "sched_process_fork",
        hook: Hook::Tracepoint("sched_process_fork"),
        min_kernel: (5, 5),
        shows: "which call site starts threads; what a child inherits",
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

/// The reference page, `docs/kernels.md`.
pub fn markdown() -> String {
    let mut page = String::from(PREFACE);
    for probe in PROBES {
        let (major, minor) = probe.min_kernel;
        let need = if probe.required { "yes" } else { "no" };
        // Writing to a String does not fail.
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {major}.{minor} | {need} | {} | {} |",
            probe.program,
            probe.hook.label(),
            probe.fallback.unwrap_or("none"),
            probe.shows,
        );
    }
    page
}

const PREFACE: &str = "\
<!-- Generated from leakwatch/src/kernel/catalog.rs; `LEAKWATCH_BLESS=1 cargo test -p leakwatch kernels_page` writes it. -->

# Kernels

leakwatch supports Linux 5.10 and newer, built with `CONFIG_BPF_SYSCALL` and `CONFIG_DEBUG_INFO_BTF`, as the distributions
build theirs. `leakwatch doctor` loads and attaches every probe below on the running kernel and says which one did not, what
is not seen because of it, and what to do.

| probe | hook | kernel | required | fallback | without it is not seen |
|---|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{OLDEST_KERNEL, PROBES, markdown};

    #[test]
    fn the_oldest_supported_kernel_has_every_hook_or_a_fallback() {
        for probe in PROBES {
            let has_hook = probe.min_kernel <= OLDEST_KERNEL;
            assert!(has_hook || probe.fallback.is_some(), "{}", probe.program);
        }
        let (major, minor) = OLDEST_KERNEL;
        assert!(markdown().contains(&format!("supports Linux {major}.{minor} and newer")));
    }

    #[test]
    fn kernels_page_is_the_committed_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kernels.md");
        if std::env::var_os("LEAKWATCH_BLESS").is_some() {
            fs::write(&path, markdown()).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert_eq!(
            committed,
            markdown(),
            "run: LEAKWATCH_BLESS=1 cargo test -p leakwatch kernels_page"
        );
    }
}
