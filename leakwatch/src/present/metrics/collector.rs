//! One scrape: a snapshot becomes metric families.
//!
//! The families are built anew for every scrape and hold nothing afterwards, so what exited is gone with the next one.

use std::sync::Arc;

use prometheus::{
    core::{Collector, Desc},
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{
    admit::Admission,
    catalog::{self, CATALOG, Kind, Source},
    group::{self, Group},
};
use crate::model::{
    finding::Resource,
    health::{AgentHealth, CallSitesHealth, FeedHealth, LevelsHealth, LifecycleHealth},
    snapshot::Snapshot,
};

/// What lasts from scrape to scrape.
#[derive(Debug)]
pub(super) struct Scrapes {
    admission: Admission,
    boot_unix_seconds: Option<f64>,
    last_scrape_seconds: Option<f64>,
}

impl Scrapes {
    pub(super) fn new(max_groups: usize) -> Self {
        Self {
            admission: Admission::new(max_groups),
            boot_unix_seconds: None,
            last_scrape_seconds: None,
        }
    }

    /// The scrape of one snapshot.
    pub(super) fn collector(&mut self, snapshot: Arc<Snapshot>) -> SnapshotCollector {
        let groups = group::group(&snapshot, self.boot_unix_seconds(&snapshot));
        let groups = self.admission.admit(groups, snapshot.uptime_ns);
        SnapshotCollector {
            groups,
            folded_total: self.admission.folded_total(),
            last_scrape_seconds: self.last_scrape_seconds,
            snapshot,
        }
    }

    pub(super) fn completed(&mut self, seconds: f64) {
        self.last_scrape_seconds = Some(seconds);
    }

    /// When the host booted. It is the difference of two clocks read one after the other, so it jitters; a start time
    /// that changes looks like a restart. It moves only when the wall clock was set.
    fn boot_unix_seconds(&mut self, snapshot: &Snapshot) -> f64 {
        let boot = snapshot.time_unix_ms as f64 / 1e3 - snapshot.uptime_ns as f64 / 1e9;
        match self.boot_unix_seconds {
            Some(known) if (known - boot).abs() < 1.0 => known,
            // Milliseconds are what is known.
            _ => *self.boot_unix_seconds.insert((boot * 1e3).round() / 1e3),
        }
    }
}

/// leakwatch itself, as the catalogue's [`Source::Agent`] sees it.
pub(super) struct AgentView<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) folded_total: u64,
    pub(super) last_scrape_seconds: Option<f64>,
}

impl AgentView<'_> {
    pub(super) fn feed(&self) -> &FeedHealth {
        &self.snapshot.health.feed
    }

    pub(super) fn call_sites(&self) -> &CallSitesHealth {
        &self.snapshot.health.call_sites
    }

    pub(super) fn lifecycle(&self) -> &LifecycleHealth {
        &self.snapshot.health.lifecycle
    }

    pub(super) fn agent(&self) -> &AgentHealth {
        &self.snapshot.health.agent
    }

    pub(super) fn levels(&self) -> &LevelsHealth {
        &self.snapshot.health.levels
    }
}

/// One snapshot as a Prometheus collector.
pub(super) struct SnapshotCollector {
    snapshot: Arc<Snapshot>,
    groups: Vec<Group>,
    folded_total: u64,
    last_scrape_seconds: Option<f64>,
}

impl Collector for SnapshotCollector {
    /// None: a registry would use them to find metrics declared twice, which a test of the catalogue does once and for
    /// all, and not at every scrape.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        CATALOG
            .iter()
            .map(|metric| self.family(metric))
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

impl SnapshotCollector {
    fn family(&self, metric: &catalog::Metric) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(metric.name.to_owned());
        family.set_help(metric.help.to_owned());
        family.set_field_type(match metric.kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
        });
        let names = metric.source.labels();
        let sample = |values: &[&str], value| sample(metric.kind, names, values, value);
        family.set_metric(match metric.source {
            Source::Group(value) => self
                .groups
                .iter()
                .filter_map(|group| Some(sample(&[&group.key.process, &group.key.container], value(group)?)))
                .collect(),
            Source::GroupFdKinds => self
                .groups
                .iter()
                .flat_map(|group| {
                    group
                        .fd_kinds
                        .iter()
                        .flatten()
                        .map(move |kind| (&group.key, kind))
                })
                .map(|(key, (kind, count))| sample(&[&key.process, &key.container, kind], *count as f64))
                .collect(),
            Source::GroupRuntimes => self
                .groups
                .iter()
                .flat_map(|group| group.runtimes.iter().map(move |runtime| (&group.key, runtime)))
                .map(|(key, ((runtime, version), count))| {
                    sample(&[&key.process, &key.container, runtime, version], *count as f64)
                })
                .collect(),
            Source::GroupResource(value) => self
                .groups
                .iter()
                .flat_map(|group| {
                    let standings = Resource::ALL.into_iter().zip(&group.standings);
                    standings.map(move |(resource, standing)| (&group.key, resource, standing))
                })
                .filter_map(|(key, resource, standing)| {
                    let labels = [&key.process, &key.container, resource.name()];
                    Some(sample(&labels, value(resource, standing)?))
                })
                .collect(),
            Source::GroupRuntime(value) => self
                .groups
                .iter()
                .flat_map(|group| group.books.iter().map(move |books| (&group.key, books)))
                .filter_map(|(key, (runtime, books))| {
                    Some(sample(&[&key.process, &key.container, runtime], value(books)?))
                })
                .collect(),
            Source::GroupCounters => self
                .groups
                .iter()
                .flat_map(|group| group.books.iter().map(move |books| (&group.key, books)))
                .flat_map(|(key, (runtime, books))| {
                    let counters = books.counters.iter();
                    counters.map(move |(name, value)| (key, *runtime, *name, *value as f64))
                })
                .map(|(key, runtime, name, value)| {
                    sample(&[&key.process, &key.container, runtime, name], value)
                })
                .collect(),
            Source::Probe(value) => self
                .snapshot
                .health
                .probes
                .iter()
                .map(|probe| sample(&[&probe.name], value(probe)))
                .collect(),
            Source::Map(value) => self
                .snapshot
                .health
                .maps
                .iter()
                .filter_map(|map| Some(sample(&[&map.name], value(map)?)))
                .collect(),
            Source::Agent(value) => value(&self.agent_view())
                .map(|value| sample(&[], value))
                .into_iter()
                .collect(),
            Source::Build => vec![sample(&[&self.snapshot.tool_version], 1.0)],
        });
        family
    }

    fn agent_view(&self) -> AgentView<'_> {
        AgentView {
            snapshot: &self.snapshot,
            folded_total: self.folded_total,
            last_scrape_seconds: self.last_scrape_seconds,
        }
    }
}

fn sample(kind: Kind, names: &[&str], values: &[&str], value: f64) -> Metric {
    let labels = names
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        })
        .collect();
    let mut metric = Metric::from_label(labels);
    match kind {
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use prometheus::{TextEncoder, core::Collector};

    use super::{CATALOG, Scrapes};
    use crate::{
        model::{
            finding::Finding,
            health::{
                AgentHealth, CallSitesHealth, FeedHealth, Health, LevelsHealth, LifecycleHealth, MapHealth,
                ProbeHealth, ProbeState,
            },
            snapshot::{Growth, ProcessRow, Snapshot, State, Unattributed},
        },
        present::{
            metrics::fixture::{row, snapshot},
            sample,
        },
    };

    fn render(scrapes: &mut Scrapes, snapshot: Snapshot) -> String {
        let families = scrapes.collector(Arc::new(snapshot)).collect();
        TextEncoder::new().encode_to_string(&families).unwrap()
    }

    fn probe(name: &str, state: ProbeState, runs: u64) -> ProbeHealth {
        ProbeHealth {
            name: name.to_owned(),
            hook: "raw_tp/sys_exit".to_owned(),
            state,
            reason: None,
            runs,
            run_time_ns: runs * 250,
        }
    }

    /// Every metric of the catalogue has a value here.
    fn everything() -> Snapshot {
        let mut java = ProcessRow {
            cmdline: Some("java -Dpassword=hunter2".into()),
            exe: Some("/opt/secret/java".into()),
            runtime: Some("java".into()),
            runtime_version: Some("17.0.15+6".into()),
            container_id: Some("0123456789abcdef".repeat(4).into()),
            threads: 41,
            fds: 412,
            fd_limit: Some(1_024),
            fd_kinds: Some(BTreeMap::from([
                ("file".to_owned(), 12),
                ("socket".to_owned(), 400),
            ])),
            rss_anon_bytes: 734_003_200,
            rss_file_bytes: 25_165_824,
            rss_shmem_bytes: 4_096,
            swap_bytes: 8_192,
            mapped_anon_bytes: Some(4_294_967_296),
            maps: 812,
            growth: Growth {
                memory_bytes_per_second: Some(-1_024.5),
                fds_per_second: Some(3.1),
                threads_per_second: Some(0.0),
            },
            unattributed: Unattributed { fds: 4, threads: 1 },
            state: State::Leaking,
            ..row(4_711, "java")
        };
        java.id.start_time_ns = 60_250_000_000;
        let seen = sample::process(4_711, "java");
        (java.limits, java.census) = (seen.limits, seen.census);
        let census = java.census.as_mut().map(Arc::make_mut);
        if let Some(view) = census.and_then(|census| census.views.first_mut()) {
            view.heap.free = Some(4_096);
        }
        let odd = ProcessRow {
            fds: 3,
            ..row(7, "a \"b\\ c\u{1b}[31m")
        };
        let findings = sample::findings().into_iter().map(|finding| Finding {
            start_time_ns: java.id.start_time_ns,
            ..finding
        });
        let findings = findings.collect();
        let mut snapshot = snapshot(3_600_000_000_000, vec![odd, java]);
        snapshot.findings = findings;
        snapshot.health = health();
        snapshot
    }

    fn health() -> Health {
        Health {
            probes: vec![
                probe("sys_exit", ProbeState::Attached, 1_000),
                probe("page_faults", ProbeState::Fallback, 0),
                probe("sched_process_exec", ProbeState::Failed, 0),
            ],
            call_sites: CallSitesHealth {
                complete: 21,
                cut: 22,
                lost: 23,
                gone: 24,
                stacks: 25,
                unwind_bytes: 26,
                symbols: 27,
                symbol_bytes: 28,
            },
            lifecycle: LifecycleHealth {
                forked: 12,
                execed: 13,
                exited: 14,
            },
            feed: FeedHealth {
                records: 1,
                dropped: 2,
                deaths_dropped: 18,
                shed: 3,
                undecodable: 4,
                stacks_taken: 5,
                stacks_shed: 6,
                stacks_dropped: 17,
                stacks_failed: 7,
                compat_skipped: 8,
                read_faults: 9,
                late_closes: 10,
                unknown_closes: 11,
                high_fds: 15,
            },
            maps: vec![
                MapHealth {
                    name: "FDS".to_owned(),
                    max_entries: 65_536,
                    entries: Some(12),
                    full: 1,
                    bytes: 1 << 22,
                },
                MapHealth {
                    name: "FEED".to_owned(),
                    max_entries: 1 << 20,
                    entries: None,
                    full: 0,
                    bytes: 1 << 20,
                },
            ],
            agent: AgentHealth {
                cpu_seconds: 1.5,
                rss_bytes: 20_971_520,
                kernel_map_bytes: 5_242_880,
                tick_seconds: 0.004,
                ticks: 3_600,
            },
            levels: LevelsHealth {
                rss_error_bound_bytes: 524_288,
                fds_truncated: 1,
            },
        }
    }

    #[test]
    fn full_exposition() {
        let mut scrapes = Scrapes::new(500);
        scrapes.completed(0.000_5);
        let text = render(&mut scrapes, everything());
        for secret in ["hunter2", "/opt/secret", "4711", "\u{1b}"] {
            assert!(!text.contains(secret), "{secret:?} leaked");
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_metric_of_the_catalogue_has_a_value_somewhere() {
        let mut scrapes = Scrapes::new(500);
        scrapes.completed(0.000_5);
        let text = render(&mut scrapes, everything());
        for metric in CATALOG {
            assert!(
                text.contains(&format!("# TYPE {} ", metric.name)),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn a_finding_ends_with_its_process() {
        let mut snapshot = everything();
        snapshot.processes.retain(|process| process.name != "java");
        let text = render(&mut Scrapes::new(500), snapshot);
        assert!(!text.contains("leakwatch_leaking_processes"), "{text}");
    }

    #[test]
    fn exited_processes_vanish() {
        let mut scrapes = Scrapes::new(500);
        assert!(
            render(&mut scrapes, snapshot(1, vec![row(1, "brief"), row(2, "stays")])).contains("\"brief\"")
        );
        let text = render(&mut scrapes, snapshot(2, vec![row(2, "stays")]));
        assert!(!text.contains("\"brief\"") && text.contains("\"stays\""));
    }

    #[test]
    fn beyond_the_cap_there_are_sums_and_a_counter() {
        let mut scrapes = Scrapes::new(1);
        let processes = (0..3_u32).map(|n| ProcessRow {
            fds: 10 + n,
            fd_limit: Some(64),
            ..row(n, &n.to_string())
        });
        let text = render(&mut scrapes, snapshot(1, processes.collect()));
        let lines_about = |name: &str| {
            text.lines()
                .filter(|line| line.starts_with(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines_about("leakwatch_open_fds{"),
            [
                r#"leakwatch_open_fds{process="0",container=""} 10"#,
                r#"leakwatch_open_fds{process="__other__",container=""} 23"#
            ]
        );
        assert_eq!(
            lines_about("leakwatch_fds_limit{"),
            [r#"leakwatch_fds_limit{process="0",container=""} 64"#]
        );
        assert_eq!(
            lines_about("leakwatch_series_dropped_total "),
            ["leakwatch_series_dropped_total 2"]
        );
    }

    #[test]
    fn start_times_do_not_jitter_with_the_clocks_but_follow_a_clock_set() {
        let mut scrapes = Scrapes::new(500);
        let mut start_at = |uptime_ns: u64, unix_ms: u64| {
            let mut snapshot = snapshot(uptime_ns, vec![row(1, "sh")]);
            snapshot.time_unix_ms = unix_ms;
            let text = render(&mut scrapes, snapshot);
            let line = text
                .lines()
                .find(|line| line.starts_with("leakwatch_process_start_time_seconds{"))
                .unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        assert_eq!(start_at(1_000_000_000, 1_001_000), "1000");
        assert_eq!(start_at(2_000_400_000, 1_002_001), "1000");
        assert_eq!(start_at(3_000_000_000, 5_003_000), "5000");
    }
}
