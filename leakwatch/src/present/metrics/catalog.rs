//! Every metric, declared once: the exposition and `docs/metrics.md` both come from [`CATALOG`].

use std::fmt::Write as _;

use super::{books::Books, collector::AgentView, group::Group, standing::Standing};
use crate::model::{
    finding::{Limit, Resource},
    health::{MapHealth, ProbeHealth, ProbeState},
};

/// One metric.
pub(super) struct Metric {
    /// Full name.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Base unit, empty for a count or a state.
    pub(super) unit: &'static str,
    pub(super) help: &'static str,
    pub(super) source: Source,
}

/// What Prometheus calls the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// Where the values come from, and by that which labels they carry. `None` is no series.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// One value a group.
    Group(fn(&Group) -> Option<f64>),
    /// One value a group and kind of descriptor.
    GroupFdKinds,
    /// Processes of a group by runtime and version.
    GroupRuntimes,
    /// One value a group and resource.
    GroupResource(fn(Resource, &Standing) -> Option<f64>),
    /// One value a group and runtime.
    GroupRuntime(fn(&Books) -> Option<f64>),
    /// One value a group, runtime and counter of that runtime.
    GroupCounters,
    /// One value a probe.
    Probe(fn(&ProbeHealth) -> f64),
    /// One value a kernel map.
    Map(fn(&MapHealth) -> Option<f64>),
    /// One value for the agent.
    Agent(fn(&AgentView<'_>) -> Option<f64>),
    /// 1, with the version.
    Build,
}

impl Source {
    pub(super) fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Group(_) => &["process", "container"],
            Self::GroupFdKinds => &["process", "container", "kind"],
            Self::GroupRuntimes => &["process", "container", "runtime", "version"],
            Self::GroupResource(_) => &["process", "container", "resource"],
            Self::GroupRuntime(_) => &["process", "container", "runtime"],
            Self::GroupCounters => &["process", "container", "runtime", "counter"],
            Self::Probe(_) => &["probe"],
            Self::Map(_) => &["map"],
            Self::Agent(_) => &[],
            Self::Build => &["version"],
        }
    }
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    source: Source,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        unit,
        help,
        source,
    }
}

const fn group(
    name: &'static str,
    unit: &'static str,
    value: fn(&Group) -> Option<f64>,
    help: &'static str,
) -> Metric {
    metric(name, Kind::Gauge, unit, Source::Group(value), help)
}

const fn standing(
    name: &'static str,
    unit: &'static str,
    value: fn(Resource, &Standing) -> Option<f64>,
    help: &'static str,
) -> Metric {
    metric(name, Kind::Gauge, unit, Source::GroupResource(value), help)
}

const fn heap(
    name: &'static str,
    unit: &'static str,
    value: fn(&Books) -> Option<f64>,
    help: &'static str,
) -> Metric {
    metric(name, Kind::Gauge, unit, Source::GroupRuntime(value), help)
}

fn known(amount: Option<u64>) -> Option<f64> {
    amount.map(|amount| amount as f64)
}

/// The value when it is one of memory.
fn of_memory<T>(resource: Resource, value: Option<T>) -> Option<T> {
    value.filter(|_| resource == Resource::Memory)
}

/// The value when it is a number of things.
fn of_things<T>(resource: Resource, value: Option<T>) -> Option<T> {
    value.filter(|_| resource != Resource::Memory)
}

fn most(limit: &Limit) -> f64 {
    limit.value as f64
}

fn used(limit: &Limit) -> f64 {
    limit.in_use as f64
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    value: fn(&AgentView<'_>) -> Option<f64>,
    help: &'static str,
) -> Metric {
    metric(name, Kind::Gauge, unit, Source::Agent(value), help)
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    value: fn(&AgentView<'_>) -> Option<f64>,
    help: &'static str,
) -> Metric {
    metric(name, Kind::Counter, unit, Source::Agent(value), help)
}

/// All metrics: processes first, then leakwatch itself.
pub(super) const CATALOG: &[Metric] = &[
    group(
        "leakwatch_processes",
        "",
        |g| Some(g.processes as f64),
        "Processes, zombies included.",
    ),
    metric(
        "leakwatch_runtime_processes",
        Kind::Gauge,
        "",
        Source::GroupRuntimes,
        "Processes by language runtime (`go`, `java`, `python`, ...) and the first two numbers of its version.",
    ),
    group(
        "leakwatch_growing_processes",
        "",
        |g| Some(g.growing as f64),
        "Processes whose floor of memory, descriptors, threads or mappings keeps reaching new highs, leak or not.",
    ),
    group(
        "leakwatch_process_start_time_seconds",
        "seconds",
        |g| g.oldest_start_seconds,
        "When the oldest process started, since the epoch.",
    ),
    group(
        "leakwatch_resident_anonymous_memory_bytes",
        "bytes",
        |g| Some(g.rss_anon_bytes as f64),
        "Resident anonymous memory: heaps, stacks, private pages written to.",
    ),
    group(
        "leakwatch_resident_file_memory_bytes",
        "bytes",
        |g| Some(g.rss_file_bytes as f64),
        "Resident file-backed memory; pages shared by several processes count in each.",
    ),
    group(
        "leakwatch_resident_shmem_memory_bytes",
        "bytes",
        |g| Some(g.rss_shmem_bytes as f64),
        "Resident shared memory (tmpfs, SysV, shared anonymous); pages shared by several processes count in each.",
    ),
    group(
        "leakwatch_swap_bytes",
        "bytes",
        |g| Some(g.swap_bytes as f64),
        "Swapped-out memory.",
    ),
    group(
        "leakwatch_mapped_anonymous_memory_bytes",
        "bytes",
        |g| g.mapped_anon_bytes.map(|bytes| bytes as f64),
        "Mapped anonymous memory, touched or not, of the processes whose mappings were walked so far.",
    ),
    group(
        "leakwatch_memory_growth_bytes_per_second",
        "bytes per second",
        |g| g.memory_growth,
        "Median slope of resident anonymous memory and swap over the last minute, summed; negative when shrinking.",
    ),
    group(
        "leakwatch_maps",
        "",
        |g| Some(g.maps as f64),
        "Memory mappings, as limited by vm.max_map_count a process.",
    ),
    group(
        "leakwatch_open_fds",
        "",
        |g| Some(g.fds as f64),
        "Open file descriptors.",
    ),
    metric(
        "leakwatch_open_fds_by_kind",
        Kind::Gauge,
        "",
        Source::GroupFdKinds,
        "Open file descriptors by kind; present while somebody asks for kinds of every process of the group.",
    ),
    group(
        "leakwatch_fds_limit",
        "",
        |g| g.worst_fds.map(|worst| worst.limit as f64),
        "Soft RLIMIT_NOFILE of the process nearest to it; absent when unlimited.",
    ),
    group(
        "leakwatch_worst_fd_ratio",
        "ratio",
        |g| g.worst_fds.map(|worst| worst.ratio),
        "Open file descriptors by soft RLIMIT_NOFILE, of the process nearest to it; absent when unlimited.",
    ),
    group(
        "leakwatch_fds_growth_per_second",
        "per second",
        |g| g.fds_growth,
        "Median slope of open file descriptors over the last minute, summed; negative when shrinking.",
    ),
    group(
        "leakwatch_threads",
        "",
        |g| Some(g.threads as f64),
        "Live threads.",
    ),
    group(
        "leakwatch_threads_growth_per_second",
        "per second",
        |g| g.threads_growth,
        "Median slope of live threads over the last minute, summed; negative when shrinking.",
    ),
    group(
        "leakwatch_unattributed_fds",
        "",
        |g| Some(g.unattributed_fds as f64),
        "Open file descriptors that no observed system call accounts for: held before leakwatch attached, inherited, \
         received over a socket, opened by io_uring.",
    ),
    group(
        "leakwatch_unattributed_threads",
        "",
        |g| Some(g.unattributed_threads as f64),
        "Threads, main threads aside, that no observed birth accounts for.",
    ),
    standing(
        "leakwatch_leaking_processes",
        "",
        |_, s| s.verdicts.map(|v| v.leaking as f64),
        "Processes that leak the resource: at a confidence of 0.9 and more. Present while there is a finding, growing or \
         recovered included.",
    ),
    standing(
        "leakwatch_suspected_processes",
        "",
        |_, s| s.verdicts.map(|v| v.suspected as f64),
        "Processes that more likely leak the resource than not, without those that leakwatch_leaking_processes counts. \
         Present while there is a finding.",
    ),
    standing(
        "leakwatch_exhausting_processes",
        "",
        |_, s| s.verdicts.map(|v| v.exhausting as f64),
        "Processes that reach a limit of the resource within ten minutes or have nearly done so, leak or not. Present \
         while there is a finding.",
    ),
    standing(
        "leakwatch_leak_confidence_ratio",
        "ratio",
        |_, s| s.confidence,
        "Probability that the resource leaks, of the process of which that is likeliest. Present while there is a finding.",
    ),
    standing(
        "leakwatch_leak_bytes_per_second",
        "bytes per second",
        |r, s| of_memory(r, s.rate),
        "How fast memory grows by the findings, summed over processes; absent without one.",
    ),
    standing(
        "leakwatch_leak_items_per_second",
        "per second",
        |r, s| of_things(r, s.rate),
        "How fast descriptors, threads or mappings grow by the findings, summed over processes; absent without one.",
    ),
    standing(
        "leakwatch_time_to_limit_earliest_seconds",
        "seconds",
        |_, s| s.earliest_seconds,
        "When the first process reaches its nearest limit, at the earliest: lower end of a 95 % interval. Absent when \
         nothing rises.",
    ),
    standing(
        "leakwatch_time_to_limit_latest_seconds",
        "seconds",
        |_, s| s.latest_seconds,
        "When that process reaches it at the latest: upper end of the interval. Absent when it may never be.",
    ),
    standing(
        "leakwatch_tightest_limit_bytes",
        "bytes",
        |r, s| of_memory(r, s.limit.as_ref().map(most)),
        "The limit on memory of which most is used; absent while less than half of every limit is and nothing is found.",
    ),
    standing(
        "leakwatch_tightest_limit_used_bytes",
        "bytes",
        |r, s| of_memory(r, s.limit.as_ref().map(used)),
        "What counts against that limit: of a cgroup's more than the process's own.",
    ),
    standing(
        "leakwatch_tightest_limit",
        "",
        |r, s| of_things(r, s.limit.as_ref().map(most)),
        "The limit on descriptors, threads or mappings of which most is used; absent while less than half of every limit \
         is and nothing is found.",
    ),
    standing(
        "leakwatch_tightest_limit_used",
        "",
        |r, s| of_things(r, s.limit.as_ref().map(used)),
        "What counts against that limit: of a cgroup's or a user's more than the process's own.",
    ),
    heap(
        "leakwatch_heap_live_bytes",
        "bytes",
        |b| known(b.heap.live),
        "What the runtime's heap held after its last collection of everything. Of processes that grow or that somebody \
         looks at; absent where the runtime does not say.",
    ),
    heap(
        "leakwatch_heap_in_use_bytes",
        "bytes",
        |b| known(b.heap.in_use),
        "What the runtime or allocator has handed out, garbage included; of the same processes.",
    ),
    heap(
        "leakwatch_heap_free_bytes",
        "bytes",
        |b| known(b.heap.free),
        "What it keeps to hand out again; of the same processes.",
    ),
    heap(
        "leakwatch_heap_committed_bytes",
        "bytes",
        |b| known(b.heap.committed),
        "What its heap has been given by the kernel, used or not; of the same processes.",
    ),
    heap(
        "leakwatch_heap_collections",
        "",
        |b| known(b.heap.collections),
        "Collections of everything so far; of the same processes, so it falls when one ends.",
    ),
    metric(
        "leakwatch_runtime_counter",
        Kind::Gauge,
        "",
        Source::GroupCounters,
        "What else a runtime counts: goroutines, loaded classes, interpreters; of the same processes.",
    ),
    metric(
        "leakwatch_build_info",
        Kind::Gauge,
        "",
        Source::Build,
        "Always 1; the label says which version runs.",
    ),
    gauge(
        "leakwatch_snapshot_timestamp_seconds",
        "seconds",
        |a| Some(a.snapshot.time_unix_ms as f64 / 1e3),
        "When the levels were read, since the epoch.",
    ),
    counter(
        "leakwatch_series_dropped_total",
        "",
        |a| Some(a.folded_total as f64),
        "Groups beyond the cap that were summed into process=\"__other__\", counted once for every scraped snapshot.",
    ),
    gauge(
        "leakwatch_scrape_duration_seconds",
        "seconds",
        |a| a.last_scrape_seconds,
        "Time it took to render the scrape before this one; absent in the first.",
    ),
    metric(
        "leakwatch_probe_attached",
        Kind::Gauge,
        "",
        Source::Probe(|p| f64::from(u8::from(p.state == ProbeState::Attached))),
        "1 when the probe is attached.",
    ),
    metric(
        "leakwatch_probe_fallback",
        Kind::Gauge,
        "",
        Source::Probe(|p| f64::from(u8::from(p.state == ProbeState::Fallback))),
        "1 when this kernel lacks the hook and another way is used instead. 0 here and in \
         leakwatch_probe_attached: what the probe would show is missing.",
    ),
    metric(
        "leakwatch_probe_sampled_runs_total",
        Kind::Counter,
        "",
        Source::Probe(|p| p.runs as f64),
        "Runs of the probe within the sampled windows, not all runs.",
    ),
    metric(
        "leakwatch_probe_sampled_run_seconds_total",
        Kind::Counter,
        "seconds",
        Source::Probe(|p| p.run_time_ns as f64 / 1e9),
        "Time spent in the runs of leakwatch_probe_sampled_runs_total.",
    ),
    counter(
        "leakwatch_feed_records_total",
        "",
        |a| Some(a.feed().records as f64),
        "Records received from the kernel.",
    ),
    counter(
        "leakwatch_feed_dropped_total",
        "",
        |a| Some(a.feed().dropped as f64),
        "Records lost because the ring buffer was full. Costs attribution, never a count.",
    ),
    counter(
        "leakwatch_feed_deaths_dropped_total",
        "",
        |a| Some(a.feed().deaths_dropped as f64),
        "Of leakwatch_feed_dropped_total those that said that a sampled descriptor or thread is gone. After one, what has \
         survived is watched anew.",
    ),
    counter(
        "leakwatch_feed_shed_total",
        "",
        |a| Some(a.feed().shed as f64),
        "Samples not made because the feed was over its budget; normal under load.",
    ),
    counter(
        "leakwatch_feed_undecodable_total",
        "",
        |a| Some(a.feed().undecodable as f64),
        "Records that did not decode; anything but 0 is a bug.",
    ),
    counter(
        "leakwatch_stacks_taken_total",
        "",
        |a| Some(a.feed().stacks_taken as f64),
        "Stacks taken.",
    ),
    counter(
        "leakwatch_stacks_shed_total",
        "",
        |a| Some(a.feed().stacks_shed as f64),
        "Stacks not taken because the budget was spent; normal under load.",
    ),
    counter(
        "leakwatch_stacks_dropped_total",
        "",
        |a| Some(a.feed().stacks_dropped as f64),
        "Stacks lost because their ring buffer was full.",
    ),
    counter(
        "leakwatch_stacks_failed_total",
        "",
        |a| Some(a.feed().stacks_failed as f64),
        "Stacks that could not be taken.",
    ),
    counter(
        "leakwatch_stacks_complete_total",
        "",
        |a| Some(a.call_sites().complete as f64),
        "Stacks unwound to the thread's first function.",
    ),
    counter(
        "leakwatch_stacks_cut_total",
        "",
        |a| Some(a.call_sites().cut as f64),
        "Stacks deeper than what is copied or kept of them.",
    ),
    counter(
        "leakwatch_stacks_lost_total",
        "",
        |a| Some(a.call_sites().lost as f64),
        "Stacks on which no way led on: code without unwind tables and frame pointers.",
    ),
    counter(
        "leakwatch_stacks_gone_total",
        "",
        |a| Some(a.call_sites().gone as f64),
        "Stacks not unwound because their process was gone.",
    ),
    gauge(
        "leakwatch_unwind_cache_bytes",
        "bytes",
        |a| Some(a.call_sites().unwind_bytes as f64),
        "Memory of stacks, unwind tables and mappings.",
    ),
    gauge(
        "leakwatch_symbol_cache_bytes",
        "bytes",
        |a| Some(a.call_sites().symbol_bytes as f64),
        "Memory of names and of copies of symbol tables.",
    ),
    counter(
        "leakwatch_compat_syscalls_skipped_total",
        "",
        |a| Some(a.feed().compat_skipped as f64),
        "32-bit system calls, which are not decoded; what they open or close shows up as unattributed.",
    ),
    counter(
        "leakwatch_read_faults_total",
        "",
        |a| Some(a.feed().read_faults as f64),
        "Reads of kernel memory that failed.",
    ),
    counter(
        "leakwatch_late_closes_total",
        "",
        |a| Some(a.feed().late_closes as f64),
        "Descriptors taken anew on another CPU before their close was seen; sorted out, and counted.",
    ),
    counter(
        "leakwatch_unknown_closes_total",
        "",
        |a| Some(a.feed().unknown_closes as f64),
        "Closes of descriptors whose opening was not seen.",
    ),
    counter(
        "leakwatch_processes_forked_total",
        "",
        |a| Some(a.lifecycle().forked as f64),
        "Processes made since the agent attached, those included that ended before a tick saw them.",
    ),
    counter(
        "leakwatch_programs_executed_total",
        "",
        |a| Some(a.lifecycle().execed as f64),
        "Programs started since the agent attached.",
    ),
    counter(
        "leakwatch_processes_exited_total",
        "",
        |a| Some(a.lifecycle().exited as f64),
        "Processes ended since the agent attached.",
    ),
    metric(
        "leakwatch_map_full_total",
        Kind::Counter,
        "",
        Source::Map(|m| Some(m.full as f64)),
        "Insertions into the kernel map that were refused because it was full.",
    ),
    metric(
        "leakwatch_map_max_entries",
        Kind::Gauge,
        "",
        Source::Map(|m| Some(m.max_entries as f64)),
        "Entries the kernel map can hold; bytes for a ring buffer.",
    ),
    metric(
        "leakwatch_map_entries",
        Kind::Gauge,
        "",
        Source::Map(|m| m.entries.map(|entries| entries as f64)),
        "Entries in use; absent where counting them means walking the map.",
    ),
    gauge(
        "leakwatch_kernel_map_bytes",
        "bytes",
        |a| Some(a.agent().kernel_map_bytes as f64),
        "Kernel memory that all maps may take together.",
    ),
    gauge(
        "leakwatch_tick_seconds",
        "seconds",
        |a| Some(a.agent().tick_seconds),
        "How long the last tick took.",
    ),
    counter(
        "leakwatch_ticks_total",
        "",
        |a| Some(a.agent().ticks as f64),
        "Ticks completed.",
    ),
    counter(
        "leakwatch_agent_cpu_seconds_total",
        "seconds",
        |a| Some(a.agent().cpu_seconds),
        "Processor time used by the agent; the probes' own is in leakwatch_probe_sampled_run_seconds_total.",
    ),
    gauge(
        "leakwatch_agent_resident_memory_bytes",
        "bytes",
        |a| Some(a.agent().rss_bytes as f64),
        "Resident memory of the agent.",
    ),
    gauge(
        "leakwatch_levels_error_bound_bytes",
        "bytes",
        |a| Some(a.levels().rss_error_bound_bytes as f64),
        "How far the resident memory of one process may be off; 0 when every level is an exact sum.",
    ),
    gauge(
        "leakwatch_levels_truncated_processes",
        "",
        |a| Some(f64::from(a.levels().fds_truncated)),
        "Processes with a descriptor table larger than the walk covers: their leakwatch_open_fds is a lower bound.",
    ),
];

/// The reference page, `docs/metrics.md`.
pub fn markdown() -> String {
    let mut page = String::from(PREFACE);
    for metric in CATALOG {
        let labels = metric
            .source
            .labels()
            .iter()
            .map(|label| format!("`{label}`"))
            .collect::<Vec<_>>()
            .join(", ");
        // Writing to a String does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind.name(),
            metric.unit,
            labels,
            metric.help
        );
    }
    page
}

const PREFACE: &str = "\
<!-- Generated from leakwatch/src/present/metrics/catalog.rs; `LEAKWATCH_BLESS=1 cargo test -p leakwatch metrics_page` writes it. -->

# Metrics

`leakwatch agent` serves these on `/metrics` in the Prometheus text format 0.0.4.

Processes of the same name in the same container are one group and share their series; the value is the sum over the
group unless the help says otherwise. `process` is the command name, `container` the first 12 digits of the container id
or empty. There is no PID, command line or path in any label.

At most `--metrics-max-groups` (default 500) groups get series of their own: first those that grow or have used at least
80 % of a limit, then those admitted less than 15 minutes ago, then the largest. The rest is summed into
`process=\"__other__\"`, without limit, ratio, time and confidence, and counted in `leakwatch_series_dropped_total`. When the last
process of a group exits, its series end with the next scrape.

What is found about a resource (`resource` is `memory`, `fd`, `thread` or `maps`) has series only while there is a finding
about a process of the group, and at most one a resource. `leakwatch_leaking_processes > 0` is the condition to alert on:
the detector has waited for its evidence already.

What runtimes and allocators hold (`runtime` and `counter` are names from closed lists) has series while leakwatch reads
their books: of processes that grow or that somebody looks at.

A value that was not observed has no series; it is never 0.

| name | type | unit | labels | help |
|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::{CATALOG, Kind, markdown};

    #[test]
    fn names_are_unique_and_say_their_type_and_unit() {
        let mut seen = HashSet::new();
        for metric in CATALOG {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            assert!(metric.name.starts_with("leakwatch_"), "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            let stem = metric.name.trim_end_matches("_total");
            let unit = metric.unit.replace(' ', "_");
            assert!(
                stem.ends_with(&unit),
                "{} does not end in its unit {}",
                metric.name,
                metric.unit
            );
            assert!(
                metric.help.ends_with('.') && !metric.help.contains('|'),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn alerts_name_metrics_that_exist() {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/rules.yaml");
        let rules = fs::read_to_string(rules).unwrap();
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
        // Recorded series begin with their level (`process:`), the groups of rules with `leakwatch.`.
        let named: HashSet<&str> = rules
            .split(|c| !is_word(c))
            .filter(|word| word.starts_with("leakwatch_"))
            .collect();
        assert!(named.contains("leakwatch_open_fds"), "{named:?}");
        let known: HashSet<&str> = CATALOG.iter().map(|metric| metric.name).collect();
        assert_eq!(named.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn metrics_page_is_the_committed_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("LEAKWATCH_BLESS").is_some() {
            fs::write(&path, markdown()).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert_eq!(
            committed,
            markdown(),
            "run: LEAKWATCH_BLESS=1 cargo test -p leakwatch metrics_page"
        );
    }
}
