//! Who may use whom in `leakwatch/src`. `docs/architecture.md` explains it; this table decides.

/// A module (with all below it that has no row of its own) and what it may reach.
pub(super) struct Module {
    pub(super) path: &'static str,
    /// Other rows that it may name.
    pub(super) may_use: &'static [&'static str],
    /// Same input, same result: no clock, no I/O, no operating system.
    pub(super) pure: bool,
}

const fn pure(path: &'static str, may_use: &'static [&'static str]) -> Module {
    Module {
        path,
        may_use,
        pure: true,
    }
}

const fn effects(path: &'static str, may_use: &'static [&'static str]) -> Module {
    Module {
        path,
        may_use,
        pure: false,
    }
}

/// In the order the data flows.
pub(super) const MODULES: &[Module] = &[
    pure("model", &[]),
    pure("raw", &["model"]),
    effects("clock", &[]),
    effects("kernel", &["model", "raw", "clock"]),
    effects("target_file", &[]),
    pure("target_memory", &[]),
    effects("symbols", &["model", "process_stat", "target_file"]),
    effects("v8", &["model", "symbols", "target_memory"]),
    effects("hotspot", &["model", "symbols", "target_memory"]),
    pure("coreclr", &["model", "target_memory"]),
    effects(
        "unwind",
        &[
            "model",
            "process_maps",
            "target_file",
            "target_memory",
            "coreclr",
            "hotspot",
            "v8",
        ],
    ),
    pure("decode", &["model", "raw"]),
    pure("aggregate", &["model", "raw", "decode"]),
    pure("detect", &["model", "raw", "aggregate"]),
    pure("subjects", &["model", "raw", "aggregate", "detect", "attribute"]),
    effects("limits", &["model"]),
    pure("process_maps", &[]),
    effects("process_stat", &["model"]),
    effects("confirm", &["model", "clock", "process_stat"]),
    effects(
        "runtimes",
        &[
            "model",
            "clock",
            "process_maps",
            "process_stat",
            "target_file",
            "target_memory",
            "symbols",
            "recognise",
            "coreclr",
            "hotspot",
            "v8",
        ],
    ),
    effects("recognise", &["model", "target_file", "symbols"]),
    effects(
        "attach",
        &[
            "model",
            "clock",
            "process_stat",
            "recognise",
            "target_file",
            "target_memory",
            "coreclr",
            "hotspot",
        ],
    ),
    effects("attribute", &["model", "raw", "aggregate", "recognise"]),
    pure(
        "assemble",
        &["model", "raw", "aggregate", "detect", "attribute", "subjects"],
    ),
    pure(
        "run",
        &[
            "model",
            "raw",
            "decode",
            "aggregate",
            "detect",
            "attribute",
            "limits",
            "subjects",
            "assemble",
        ],
    ),
    effects(
        "record",
        &[
            "model",
            "raw",
            "decode",
            "aggregate",
            "attribute",
            "limits",
            "assemble",
            "run",
        ],
    ),
    pure("present", &["model"]),
    pure("present::profile", &["model", "present"]),
    pure("present::findings", &["model", "present"]),
    pure("present::recording", &["model", "present", "present::profile"]),
    pure(
        "present::report",
        &[
            "model",
            "present",
            "present::profile",
            "present::findings",
            "present::recording",
        ],
    ),
    pure(
        "present::explain",
        &[
            "model",
            "present",
            "present::profile",
            "present::findings",
            "present::recording",
            "present::report",
        ],
    ),
    // `top` saves what it shows as a report.
    effects(
        "present::top",
        &["model", "present", "present::report", "present::findings"],
    ),
    effects(
        "present::metrics",
        &["model", "clock", "present", "present::profile"],
    ),
    effects(
        "call_sites",
        &[
            "model",
            "aggregate",
            "assemble",
            "decode",
            "unwind",
            "runtimes",
            "symbols",
        ],
    ),
    pure("trace::entry", &[]),
    pure("trace::cost", &["trace::entry"]),
    pure("trace::merge", &["model"]),
    pure("trace::survivors", &["model"]),
    effects(
        "trace",
        &[
            "target_file",
            "model",
            "clock",
            "kernel",
            "raw",
            "decode",
            "aggregate",
            "assemble",
            "attribute",
            "call_sites",
            "trace::entry",
            "trace::cost",
            "trace::merge",
            "trace::survivors",
        ],
    ),
    effects("config", &[]),
    effects("own_use", &[]),
    effects("state_file", &["detect"]),
    effects("sampler", EVERYTHING),
    effects("socket", &["model", "sampler"]),
    pure("hook::limit", &["model"]),
    pure("hook::changes", &["model"]),
    effects("hook", &["model", "sampler", "hook::changes", "hook::limit"]),
    effects("doctor", &["model", "kernel", "present"]),
    effects(
        "cli",
        &[
            "model",
            "kernel",
            "confirm",
            "record",
            "config",
            "sampler",
            "socket",
            "doctor",
            "present",
            "present::report",
            "present::profile",
            "present::findings",
            "present::recording",
            "present::explain",
            "hook",
            "unwind",
            "symbols",
            "trace",
            "present::top",
            "present::metrics",
            "attach",
        ],
    ),
    effects("main", &["cli"]),
];

/// The one module that runs the stages on a live host.
pub(super) const EVERYTHING: &[&str] = &["*"];

/// What a pure module must not name: the clock, the outside world, and the crates that reach it.
pub(super) const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "axum",
    "crossterm",
    "libc",
    "memmap2",
    "procfs",
    "rustix",
    "tokio",
    "dbg!",
    "eprint!",
    "eprintln!",
    "print!",
    "println!",
];

/// The crates that only [`KERNEL`] may name.
pub(super) const LOADER: &[&str] = &["aya", "aya_log", "aya_obj"];
/// The module that loads the eBPF programs.
pub(super) const KERNEL: &str = "kernel";
