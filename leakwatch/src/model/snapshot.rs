//! What a presenter sees: the immutable result of one tick, and the JSON contract (`docs/schema/snapshot.json`).
//!
//! All amounts are in base units. A value that was not observed is `None` (JSON `null`), never 0 and never NaN.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    census::Census,
    finding::{Finding, Limit, Resource},
    health::Health,
    identity::ProcessId,
};

/// Version of the JSON contract; raised when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The state of the host at one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the leakwatch that wrote this.
    pub tool_version: String,
    /// Host name.
    pub host: String,
    /// When the levels were read, milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` at the same moment: `uptime_ns - start_time_ns` is a process's age.
    pub uptime_ns: u64,
    /// Whether leakwatch itself sees what it should.
    pub health: Health,
    /// Every user process, in ascending order of pid. Kernel threads are left out.
    pub processes: Vec<ProcessRow>,
    /// Every finding at `growing` or above, and those lately recovered or ended; worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Limits of the whole host that are known.
    #[serde(default)]
    pub host_limits: Vec<LimitUse>,
}

impl Snapshot {
    /// The findings about one process or about the group in which it grows most, worst first.
    pub fn findings_about(&self, id: ProcessId) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.id() == id)
    }
}

/// A limit in force on a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitUse {
    /// What it limits.
    pub resource: Resource,
    /// The limit; flattened to `name`, `value` and `in_use`.
    #[serde(flatten)]
    pub limit: Limit,
}

impl LimitUse {
    /// Whether more than one process counts against it: a cgroup's or the host's, not a process's own.
    pub fn is_shared(&self) -> bool {
        !matches!(
            &*self.limit.name,
            "RLIMIT_NOFILE" | "RLIMIT_AS" | "RLIMIT_DATA" | "fs.nr_open" | "vm.max_map_count"
        )
    }
}

/// One process at one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Identity; flattened to `pid` and `start_time_ns`.
    #[serde(flatten)]
    pub id: ProcessId,
    /// The parent's pid; 0 for none.
    pub parent_pid: u32,
    /// Command name (`comm`); control characters and invalid UTF-8 are replaced.
    pub name: String,
    /// User name of the effective uid, or the uid in digits.
    pub user: Arc<str>,
    /// Path of the executable in its own mount namespace, when readable.
    pub exe: Option<Arc<str>>,
    /// Arguments joined by spaces, when readable; control characters are replaced.
    pub cmdline: Option<Arc<str>>,
    /// Language runtime by name, when known.
    pub runtime: Option<Arc<str>>,
    /// Its version, as it says itself.
    #[serde(default)]
    pub runtime_version: Option<Arc<str>>,
    /// What answers `malloc`: `glibc`, `musl`, `jemalloc`, `tcmalloc` or `mimalloc`, when known.
    #[serde(default)]
    pub allocator: Option<Arc<str>>,
    /// Container id, 12 to 64 hexadecimal digits, when in a container.
    pub container_id: Option<Arc<str>>,
    /// Systemd unit, when in one and in no container.
    #[serde(default)]
    pub unit: Option<Arc<str>>,
    /// Live threads.
    pub threads: u32,
    /// Open file descriptors.
    pub fds: u32,
    /// Soft `RLIMIT_NOFILE`; `None` is unlimited.
    pub fd_limit: Option<u64>,
    /// Open descriptors by kind (`file`, `socket`, `pipe`, ...); `None` unless asked for.
    pub fd_kinds: Option<BTreeMap<String, u32>>,
    /// Resident anonymous memory.
    pub rss_anon_bytes: u64,
    /// Resident file-backed memory.
    pub rss_file_bytes: u64,
    /// Resident shared memory (tmpfs, `SysV`, shared anonymous).
    pub rss_shmem_bytes: u64,
    /// Swapped-out memory.
    pub swap_bytes: u64,
    /// Mapped anonymous memory, touched or not; `None` until the first walk over mappings that saw this process.
    pub mapped_anon_bytes: Option<u64>,
    /// Number of mappings.
    pub maps: u32,
    /// How fast it grows.
    pub growth: Growth,
    /// What it holds that no seen system call accounts for.
    pub unattributed: Unattributed,
    /// Verdict so far.
    pub state: State,
    /// The sites with most live items, most first; at most [`SITES_PER_ROW`].
    pub sites: Vec<SiteRow>,
    /// The tightest limit of each resource: those at least half used, or all when somebody looks at this process.
    #[serde(default)]
    pub limits: Vec<LimitUse>,
    /// What its runtimes and its allocator hold, when it was last read; `None` unless it grows or somebody looks at it.
    #[serde(default)]
    pub census: Option<Arc<Census>>,
}

impl ProcessRow {
    /// How much it holds: bytes of memory, else a count.
    pub fn level(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.rss_anon_bytes + self.swap_bytes,
            Resource::Fd => u64::from(self.fds),
            Resource::Thread => u64::from(self.threads),
            Resource::Maps => u64::from(self.maps),
        }
    }
}

/// How many sites a [`ProcessRow`] carries at most.
pub const SITES_PER_ROW: usize = 128;
/// The same when every process of the host is asked for.
pub const SITES_PER_ROW_OF_MANY: usize = 16;

/// Median slope over the last minute; `None` until there are two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Of resident anonymous memory and swap together.
    pub memory_bytes_per_second: Option<f64>,
    /// Of open descriptors.
    pub fds_per_second: Option<f64>,
    /// Of threads.
    pub threads_per_second: Option<f64>,
}

/// What the levels show and no observed birth explains: held before leakwatch attached, inherited over `fork` or
/// `execve`, received over a socket (`SCM_RIGHTS`), opened by `io_uring`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattributed {
    /// Open descriptors.
    pub fds: u32,
    /// Threads, the main thread aside.
    pub threads: u32,
}

/// Where a process stands: by its worst finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Watched too briefly to say.
    Observing,
    /// Holds about what it held.
    Healthy,
    /// It leaked or was suspected to, and has given back or stopped growing.
    Recovered,
    /// Its floor keeps reaching new highs.
    Growing,
    /// More likely a leak than not.
    Suspected,
    /// A leak, at a confidence of 0.9 and more.
    Leaking,
    /// Exited, not yet reaped by its parent.
    Zombie,
}

impl State {
    /// Whether something of it grows, leak or not.
    pub fn grows(self) -> bool {
        matches!(self, Self::Growing | Self::Suspected | Self::Leaking)
    }
}

/// One call stack of a process that takes one kind of thing.
///
/// Stacks are sampled: each sample stands for the births of its kind since the one before it, so `born` and `live` are
/// estimates whose sum over all rows of a kind is exact. The row without frames is what no sample stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteRow {
    /// `file`, `socket`, `thread`, `mapping`, ...; `first_touch` for memory by sampled page faults: who made it resident,
    /// which need not be who keeps it.
    pub kind: String,
    /// The function to look at first: the innermost one outside libc, the allocator and the runtime; `None` when no frame
    /// has a name.
    pub function: Option<String>,
    /// Innermost first; empty when no stack was taken.
    pub frames: Vec<FrameRow>,
    /// Why the stack is not complete; `None` when it is.
    pub cut: Option<String>,
    /// Samples behind this row.
    pub samples: u64,
    /// Things taken here since the agent attached.
    pub born: u64,
    /// Those of them that are still held; `None` when that is not known.
    pub live: Option<u64>,
    /// Bytes taken here; 0 for descriptors and threads.
    pub bytes: u64,
    /// Bytes of them still held; `None` when that is not known.
    pub live_bytes: Option<u64>,
    /// Age of the oldest sample that is still held, nanoseconds.
    pub oldest_ns: Option<u64>,
    /// Mean lifetime of what was given back, nanoseconds; `None` when nothing was.
    pub mean_lifetime_ns: Option<u64>,
    /// Upper bound of the lifetime that 95 % of what was given back did not exceed, nanoseconds, from samples.
    pub p95_lifetime_ns: Option<u64>,
    /// What some of the live ones are: paths, peers, thread names.
    pub examples: Vec<String>,
}

/// One frame of a [`SiteRow`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRow {
    /// Demangled name; `None` when there is no symbol, and then `reason` says why, or while it is being looked up.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// Path of the binary in the mount namespace of the process; `[anon]` for memory that a JIT compiler filled.
    pub module: String,
    /// Hexadecimal build id of the binary.
    pub build_id: Option<String>,
    /// Address as the binary's ELF headers state it; in anonymous memory the address in the process.
    pub address: u64,
    /// Whether the function was inlined into the frame after it.
    pub inlined: bool,
    /// Why there is no name.
    pub reason: Option<String>,
}

impl FrameRow {
    /// A frame of which nothing is known but its name.
    pub fn named(function: String) -> Self {
        Self {
            function: Some(function),
            file: None,
            line: None,
            module: String::new(),
            build_id: None,
            address: 0,
            inlined: false,
            reason: None,
        }
    }
}
