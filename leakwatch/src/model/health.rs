//! Whether leakwatch itself sees what it should: a failure to observe is never shown as "no leak".

use serde::{Deserialize, Serialize};

/// Everything an operator needs to trust, or distrust, the rest of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Every probe of the catalogue, in its order.
    pub probes: Vec<ProbeHealth>,
    /// The feed from the kernel.
    pub feed: FeedHealth,
    /// Lives of processes.
    pub lifecycle: LifecycleHealth,
    /// Stacks and names.
    pub call_sites: CallSitesHealth,
    /// Fixed-size kernel maps.
    pub maps: Vec<MapHealth>,
    /// leakwatch's own consumption.
    pub agent: AgentHealth,
    /// How the levels were read.
    pub levels: LevelsHealth,
}

impl Health {
    /// Whether anything that the snapshot claims may be incomplete: a probe that did not attach, records lost, a map
    /// full, a level that is only a lower bound. Shedding samples is normal under load and does not degrade.
    pub fn degraded(&self) -> bool {
        self.probes.iter().any(|probe| probe.state == ProbeState::Failed)
            || self.feed.dropped > 0
            || self.maps.iter().any(|map| map.full > 0)
            || self.levels.fds_truncated > 0
    }
}

/// One probe of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeHealth {
    /// Program name.
    pub name: String,
    /// What it is attached to, such as `tp_btf/sys_exit`.
    pub hook: String,
    /// Attached or not.
    pub state: ProbeState,
    /// Why not, when not.
    pub reason: Option<String>,
    /// Runs in the sampled windows (see `run_time_ns`).
    pub runs: u64,
    /// Time spent in those runs. The kernel's own accounting costs tens of nanoseconds a run, so it is switched on for
    /// one second of every thirty only.
    pub run_time_ns: u64,
}

/// Whether a probe does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeState {
    /// Loaded and attached.
    Attached,
    /// This kernel lacks the hook and the fallback is in use.
    Fallback,
    /// Not attached; what it would show is missing.
    Failed,
}

/// Totals since the agent attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedHealth {
    /// Records received.
    pub records: u64,
    /// Records lost because the ring buffer was full. Costs attribution, never a count.
    pub dropped: u64,
    /// Of these, closes of sampled descriptors and ends of sampled threads: which samples live is not known any more.
    pub deaths_dropped: u64,
    /// Samples not made because the feed was over its budget.
    pub shed: u64,
    /// Records that did not decode.
    pub undecodable: u64,
    /// Stacks taken.
    pub stacks_taken: u64,
    /// Births whose stack was not taken because the budget was spent.
    pub stacks_shed: u64,
    /// Stacks that were lost because their ring buffer was full.
    pub stacks_dropped: u64,
    /// Stacks that could not be taken.
    pub stacks_failed: u64,
    /// 32-bit system calls, which are not decoded.
    pub compat_skipped: u64,
    /// Reads of kernel memory that failed.
    pub read_faults: u64,
    /// Descriptors that were taken anew on another CPU before their close was seen; sorted out, and counted.
    pub late_closes: u64,
    /// Closes of descriptors whose opening was not seen.
    pub unknown_closes: u64,
    /// Descriptors opened with a number of 65,536 or above, which are not followed: they show as unattributed.
    pub high_fds: u64,
}

/// How stacks were unwound and named, and what is kept for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSitesHealth {
    /// Stacks unwound to the thread's first function.
    pub complete: u64,
    /// Stacks deeper than what was copied of them, or than what is kept.
    pub cut: u64,
    /// Stacks on which no way led on.
    pub lost: u64,
    /// Stacks not unwound, because their process was gone.
    pub gone: u64,
    /// Different stacks kept.
    pub stacks: u64,
    /// Memory of stacks, unwind tables and mappings, bytes.
    pub unwind_bytes: u64,
    /// Addresses whose names are known, or known not to be.
    pub symbols: u64,
    /// Memory of names and of copies of symbol tables, bytes.
    pub symbol_bytes: u64,
}

/// Lives of processes seen in the feed since the agent attached, those included that began and ended between two ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleHealth {
    /// Processes made.
    pub forked: u64,
    /// Programs started.
    pub execed: u64,
    /// Processes ended.
    pub exited: u64,
}

/// One fixed-size kernel map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapHealth {
    /// Map name.
    pub name: String,
    /// Entries it can hold; bytes for a ring buffer.
    pub max_entries: u64,
    /// Entries in use, when known without walking the map.
    pub entries: Option<u64>,
    /// Insertions refused because it was full.
    pub full: u64,
    /// Kernel memory it may take at most, bytes.
    pub bytes: u64,
}

/// leakwatch's own consumption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentHealth {
    /// Processor time used by the agent since it started.
    pub cpu_seconds: f64,
    /// Resident memory of the agent.
    pub rss_bytes: u64,
    /// Kernel memory of all maps, bytes.
    pub kernel_map_bytes: u64,
    /// How long the last tick took.
    pub tick_seconds: f64,
    /// Ticks completed.
    pub ticks: u64,
}

/// How the levels were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelsHealth {
    /// How far a resident-memory level may be off, bytes; 0 when every level is an exact sum.
    pub rss_error_bound_bytes: u64,
    /// Processes whose descriptor table is larger than the walk covers: their `fds` is a lower bound.
    pub fds_truncated: u32,
}
