//! What a verdict says: the JSON contract of `leakwatch check` (`docs/schema/findings.json`), also part of every snapshot.
//!
//! Two claims, never mixed: that something leaks (`verdict`, `confidence`, `evidence`) and when a limit is reached
//! (`limit`, `seconds_to_limit`, `exhausting`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{census::Counted, identity::ProcessId, snapshot::FrameRow};

/// What can leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Anonymous memory, resident or swapped out; bytes.
    Memory,
    /// Open file descriptors.
    Fd,
    /// Threads, the main thread included.
    Thread,
    /// Mappings (`vm.max_map_count` bounds them).
    Maps,
}

impl Resource {
    /// Every resource, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Fd, Self::Thread, Self::Maps];

    /// The word used in JSON, metrics and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fd => "fd",
            Self::Thread => "thread",
            Self::Maps => "maps",
        }
    }
}

/// Growth is not seen before a level was watched for so long, seconds: a climb takes eight buckets of four.
pub const SETTLING_SECONDS: u32 = 32;

/// Where one resource of one process or group stands. The order is by how much it matters to whoever is on call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Holds about what it held.
    Healthy,
    /// It was a leak or suspected to be one, and the process has ended.
    Ended,
    /// It was a leak or suspected to be one, and was given back or stopped growing.
    Recovered,
    /// Its floor keeps reaching new highs. A fact, not an accusation.
    Growing,
    /// More likely a leak than not.
    Suspected,
    /// A leak, at a confidence of 0.9 and more.
    Leaking,
}

impl Verdict {
    /// Every verdict, in their order.
    pub const ALL: [Self; 6] = [
        Self::Healthy,
        Self::Ended,
        Self::Recovered,
        Self::Growing,
        Self::Suspected,
        Self::Leaking,
    ];

    /// The word used in JSON, metrics and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ended => "ended",
            Self::Recovered => "recovered",
            Self::Growing => "growing",
            Self::Suspected => "suspected",
            Self::Leaking => "leaking",
        }
    }
}

/// What growth looks like when it is not (yet) known to be a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It has only just started.
    WarmUp,
    /// Ever slower: towards a cap.
    Saturating,
    /// What grew has been given back before.
    SawTooth,
    /// Memory grows with the logarithm of time and no site owns it.
    Fragmentation,
    /// What is kept was taken at once and nothing since.
    PoolFill,
    /// It follows how much work is done.
    FollowsLoad,
    /// Too few readings, or some were lost.
    NotEnoughData,
}

impl Class {
    /// The word used in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Saturating => "saturating",
            Self::SawTooth => "saw-tooth",
            Self::Fragmentation => "fragmentation",
            Self::PoolFill => "pool-fill",
            Self::FollowsLoad => "follows-load",
            Self::NotEnoughData => "not-enough-data",
        }
    }
}

/// Who a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "name")]
pub enum Subject {
    /// One process; the fields of the finding say which.
    Process,
    /// All processes of a container, by its id.
    Container(Arc<str>),
    /// All processes of a systemd unit, by its name.
    Unit(Arc<str>),
}

/// A number and the interval that holds it in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Best guess.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// From when to when; `high` is `None` where it may never come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// At the earliest.
    pub low: f64,
    /// At the latest.
    pub high: Option<f64>,
}

/// A limit in force, and what counts against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// `RLIMIT_NOFILE`, `memory.max of /system.slice/x.service`, `fs.file-max`, ...
    pub name: Arc<str>,
    /// The most there may be: bytes for memory, else a count.
    pub value: u64,
    /// What counts against it now; of a cgroup's or a user's limit more than the process's own.
    pub in_use: u64,
}

/// One reason for a verdict, or against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Stable name: `prior`, `survival`, `turnover`, `staleness`, ...
    pub name: String,
    /// What it adds to the natural logarithm of the odds.
    pub log_odds: f64,
    /// In words, with the numbers.
    pub text: String,
}

/// One call stack behind a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingSite {
    /// `socket`, `mapping`, `first_touch`, ... as in a snapshot.
    pub kind: String,
    /// The function to look at first.
    pub function: Option<String>,
    /// What it still holds.
    pub live: Option<u64>,
    /// Bytes of it.
    pub bytes: Option<u64>,
    /// Its part, 0 to 1, of what is held and was taken under observation.
    pub share: f64,
    /// Age of the oldest that is still held, seconds.
    pub oldest_seconds: Option<f64>,
    /// Innermost first.
    pub frames: Vec<FrameRow>,
}

/// What a runtime or an allocator has more and more of, by its own books.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// What they are.
    pub counted: Counted,
    /// Whose books: `go`, `java`, `glibc`, ...
    pub runtime: String,
    /// What they are called: `LeakS$Session`, `main.handle (server.go:41)`.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// Bytes that they take themselves; `None` when that is not known.
    pub bytes: Option<u64>,
    /// How many more there are, per second.
    pub rate_per_second: f64,
    /// The same in bytes; `None` when that is not known.
    pub bytes_per_second: Option<f64>,
    /// Its part, 0 to 1, of the growth: of the bytes, or of the number of all things like it, whichever is more.
    pub share: f64,
    /// Since when the oldest of them has been in this state, seconds: a goroutine that waits.
    pub oldest_seconds: Option<f64>,
    /// Who made them or where they wait, innermost first.
    pub frames: Vec<FrameRow>,
}

/// One verdict about one resource of one process or group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Who.
    pub subject: Subject,
    /// Thread group id; of a group that of the process that grows most.
    pub pid: u32,
    /// When that process started, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_time_ns: u64,
    /// Its command name.
    pub process: String,
    /// Path of its executable.
    pub exe: Option<Arc<str>>,
    /// Its arguments.
    pub cmdline: Option<Arc<str>>,
    /// Its language runtime.
    pub runtime: Option<Arc<str>>,
    /// The version of that, as it says itself.
    #[serde(default)]
    pub runtime_version: Option<Arc<str>>,
    /// What answers its `malloc`, when known.
    #[serde(default)]
    pub allocator: Option<Arc<str>>,
    /// Its container.
    pub container: Option<Arc<str>>,
    /// What.
    pub resource: Resource,
    /// Which kind of it: `socket`, `file`, ... of descriptors; `heap`, `mapping` of memory; else the resource's own name.
    pub kind: String,
    /// Where it stands.
    pub verdict: Verdict,
    /// What it looks like when it is not a leak; `None` when nothing speaks for that.
    pub class: Option<Class>,
    /// Probability that it leaks, 0 to 1.
    pub confidence: f64,
    /// How fast it grows, per second; `None` while that is not known.
    pub rate_per_second: Option<Estimate>,
    /// How much is held now.
    pub in_use: u64,
    /// The limit that is reached first.
    pub limit: Option<Limit>,
    /// When that is; `None` when it does not rise.
    pub seconds_to_limit: Option<Span>,
    /// Whether the limit is reached within ten minutes at the latest, or is nearly reached: a state of its own, whatever the
    /// verdict.
    pub exhausting: bool,
    /// When it was first suspected, milliseconds since the epoch; `None` before that.
    pub since_unix_ms: Option<u64>,
    /// Why, strongest first.
    pub evidence: Vec<Evidence>,
    /// Who did it, most first.
    pub sites: Vec<FindingSite>,
    /// What its runtimes and its allocator hold more and more of, most suspicious first; empty without two censuses.
    #[serde(default)]
    pub holders: Vec<Holder>,
}

impl Finding {
    /// Which process; of a group the one that grows most.
    pub fn id(&self) -> ProcessId {
        ProcessId {
            pid: self.pid,
            start_time_ns: self.start_time_ns,
        }
    }
}

/// Version of the JSON contract; raised when a field changes its meaning or goes away, not when one is added.
pub const FINDINGS_VERSION: u32 = 1;
