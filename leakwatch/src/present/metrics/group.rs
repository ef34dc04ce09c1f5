//! Processes of one name in one container are one group: what a label set stands for.

use std::collections::{BTreeMap, HashMap};

use super::books::{self, BooksByRuntime};
use super::standing::{Standing, Standings};
use crate::model::{
    finding::{Finding, Resource, Verdict},
    identity::ProcessId,
    snapshot::{ProcessRow, Snapshot},
};
use crate::present::{runtime::short_version, words};

/// The `process` label of everything beyond the cap.
pub(super) const OTHER: &str = "__other__";

/// Digits of a container id that `docker ps` and `crictl ps` print.
const CONTAINER_DIGITS: usize = 12;

/// Runtimes and versions that one group has series for. A version is what a file says that anybody may have written.
const MAX_RUNTIMES: usize = 4;

/// From this share of a limit on, a process is about to fail.
const URGENT_RATIO: f64 = 0.8;

/// The label values of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupKey {
    /// Command name, safe to show, never empty.
    pub(super) process: String,
    /// The first digits of the container id; empty outside containers.
    pub(super) container: String,
}

impl GroupKey {
    fn of(row: &ProcessRow) -> Self {
        let container = row.container_id.as_deref().unwrap_or_default();
        Self {
            process: label_value(&row.name),
            container: container.chars().take(CONTAINER_DIGITS).collect(),
        }
    }

    /// The key of everything beyond the cap.
    pub(super) fn other() -> Self {
        Self {
            process: OTHER.to_owned(),
            container: String::new(),
        }
    }
}

/// A process chooses its name itself: it may be empty, hold control characters, or pose as the row of the rest.
fn label_value(name: &str) -> String {
    match name {
        "" => "?".to_owned(),
        OTHER => format!("{OTHER}?"),
        _ => name
            .chars()
            .map(|c| {
                if c.is_control() {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect(),
    }
}

/// Sums over the processes of a group; what cannot be summed is of the worst or the oldest one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) processes: u64,
    pub(super) growing: u64,
    pub(super) rss_anon_bytes: u64,
    pub(super) rss_file_bytes: u64,
    pub(super) rss_shmem_bytes: u64,
    pub(super) swap_bytes: u64,
    /// Over the processes whose mappings were walked; `None` when none was.
    pub(super) mapped_anon_bytes: Option<u64>,
    pub(super) maps: u64,
    pub(super) fds: u64,
    /// `None` unless known for every process of the group: a partial sum would look like closed descriptors.
    pub(super) fd_kinds: Option<BTreeMap<String, u64>>,
    /// Of the process nearest to its limit; `None` when all are unlimited.
    pub(super) worst_fds: Option<FdUse>,
    pub(super) threads: u64,
    pub(super) unattributed_fds: u64,
    pub(super) unattributed_threads: u64,
    /// The growths are over the processes that have one; `None` when none has.
    pub(super) memory_growth: Option<f64>,
    pub(super) fds_growth: Option<f64>,
    pub(super) threads_growth: Option<f64>,
    /// Start of the oldest process, seconds since the epoch.
    pub(super) oldest_start_seconds: Option<f64>,
    /// What is found about each resource.
    pub(super) standings: Standings,
    /// What its runtimes hold, as far as they were asked.
    pub(super) books: BooksByRuntime,
    /// Processes by language runtime and its version; at most [`MAX_RUNTIMES`].
    pub(super) runtimes: BTreeMap<RuntimeKey, u64>,
}

/// A language runtime, and the first two numbers of its version; empty when that is not known.
pub(super) type RuntimeKey = (String, String);

/// How far one process has used up its descriptors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FdUse {
    /// Open descriptors by soft limit. Above 1 when the limit was lowered below what was open.
    pub(super) ratio: f64,
    pub(super) limit: u64,
}

impl FdUse {
    fn of(row: &ProcessRow) -> Option<Self> {
        let limit = row.fd_limit?;
        // A limit of 0 is legal and forbids the next descriptor as a limit of 1 forbids the second.
        let ratio = f64::from(row.fds) / limit.max(1) as f64;
        Some(Self { ratio, limit })
    }
}

impl Group {
    pub(super) fn empty(key: GroupKey) -> Self {
        Self {
            key,
            processes: 0,
            growing: 0,
            rss_anon_bytes: 0,
            rss_file_bytes: 0,
            rss_shmem_bytes: 0,
            swap_bytes: 0,
            mapped_anon_bytes: None,
            maps: 0,
            fds: 0,
            fd_kinds: Some(BTreeMap::new()),
            worst_fds: None,
            threads: 0,
            unattributed_fds: 0,
            unattributed_threads: 0,
            memory_growth: None,
            fds_growth: None,
            threads_growth: None,
            oldest_start_seconds: None,
            standings: Standings::default(),
            books: BooksByRuntime::new(),
            runtimes: BTreeMap::new(),
        }
    }

    /// Memory that would be gone with the group, for ranking.
    pub(super) fn held_bytes(&self) -> u64 {
        self.rss_anon_bytes + self.rss_shmem_bytes + self.swap_bytes
    }

    /// Whether somebody should look at it now.
    pub(super) fn is_urgent(&self) -> bool {
        self.growing > 0
            || self.worst_fds.is_some_and(|worst| worst.ratio >= URGENT_RATIO)
            || self.standings.iter().any(is_urgent)
    }

    fn add(&mut self, row: &ProcessRow, findings: &[&Finding], boot_unix_seconds: f64) {
        self.processes += 1;
        self.add_runtime(row);
        self.growing += u64::from(row.state.grows());
        self.rss_anon_bytes += row.rss_anon_bytes;
        self.rss_file_bytes += row.rss_file_bytes;
        self.rss_shmem_bytes += row.rss_shmem_bytes;
        self.swap_bytes += row.swap_bytes;
        self.mapped_anon_bytes = sum_known(self.mapped_anon_bytes, row.mapped_anon_bytes);
        self.maps += u64::from(row.maps);
        self.fds += u64::from(row.fds);
        if row.fds > 0 {
            self.add_kinds(row.fd_kinds.as_ref());
        }
        self.worst_fds = worst(self.worst_fds, FdUse::of(row));
        self.threads += u64::from(row.threads);
        self.unattributed_fds += u64::from(row.unattributed.fds);
        self.unattributed_threads += u64::from(row.unattributed.threads);
        self.memory_growth = sum_known(self.memory_growth, row.growth.memory_bytes_per_second);
        self.fds_growth = sum_known(self.fds_growth, row.growth.fds_per_second);
        self.threads_growth = sum_known(self.threads_growth, row.growth.threads_per_second);
        let start = boot_unix_seconds + row.id.start_time_ns as f64 / 1e9;
        self.oldest_start_seconds = Some(
            self.oldest_start_seconds
                .map_or(start, |oldest| oldest.min(start)),
        );
        if let Some(census) = &row.census {
            books::add(&mut self.books, census);
        }
        for (resource, standing) in Resource::ALL.into_iter().zip(&mut self.standings) {
            let findings = findings.iter().copied();
            standing.add(
                findings.filter(|finding| finding.resource == resource),
                row.limits.iter().filter(|used| used.resource == resource),
            );
        }
    }

    fn add_runtime(&mut self, row: &ProcessRow) {
        let Some(runtime) = &row.runtime else { return };
        let version = row.runtime_version.as_deref().map_or("", short_version);
        let key = (label_value(runtime), version.to_owned());
        if self.runtimes.len() < MAX_RUNTIMES || self.runtimes.contains_key(&key) {
            *self.runtimes.entry(key).or_default() += 1;
        }
    }

    fn add_kinds(&mut self, kinds: Option<&BTreeMap<String, u32>>) {
        let (Some(sums), Some(kinds)) = (&mut self.fd_kinds, kinds) else {
            self.fd_kinds = None;
            return;
        };
        for (kind, count) in kinds {
            *sums.entry(kind.clone()).or_default() += u64::from(*count);
        }
    }

    /// Adds what can be summed of a group that gets no series of its own. Its limit, ratio, start and runtimes are left out:
    /// the rest of a host is no process.
    pub(super) fn fold(&mut self, group: &Self) {
        self.processes += group.processes;
        self.growing += group.growing;
        self.rss_anon_bytes += group.rss_anon_bytes;
        self.rss_file_bytes += group.rss_file_bytes;
        self.rss_shmem_bytes += group.rss_shmem_bytes;
        self.swap_bytes += group.swap_bytes;
        self.mapped_anon_bytes = sum_known(self.mapped_anon_bytes, group.mapped_anon_bytes);
        self.maps += group.maps;
        self.fds += group.fds;
        self.fd_kinds = None;
        self.threads += group.threads;
        self.unattributed_fds += group.unattributed_fds;
        self.unattributed_threads += group.unattributed_threads;
        self.memory_growth = sum_known(self.memory_growth, group.memory_growth);
        self.fds_growth = sum_known(self.fds_growth, group.fds_growth);
        self.threads_growth = sum_known(self.threads_growth, group.threads_growth);
        for (standing, more) in self.standings.iter_mut().zip(&group.standings) {
            standing.fold(more);
        }
        books::fold(&mut self.books, &group.books);
    }
}

fn is_urgent(standing: &Standing) -> bool {
    standing
        .verdicts
        .is_some_and(|verdicts| verdicts.leaking + verdicts.suspected + verdicts.exhausting > 0)
        || standing
            .limit
            .as_ref()
            .is_some_and(|limit| words::share(limit) >= URGENT_RATIO)
}

fn sum_known<T: std::ops::Add<Output = T>>(total: Option<T>, more: Option<T>) -> Option<T> {
    match (total, more) {
        (Some(total), Some(more)) => Some(total + more),
        (known, None) | (None, known) => known,
    }
}

fn worst(a: Option<FdUse>, b: Option<FdUse>) -> Option<FdUse> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.ratio > a.ratio { b } else { a }),
        (known, None) | (None, known) => known,
    }
}

/// Those about processes that live.
fn by_process(findings: &[Finding]) -> HashMap<ProcessId, Vec<&Finding>> {
    let mut by_process: HashMap<_, Vec<_>> = HashMap::new();
    for finding in findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Ended)
    {
        by_process.entry(finding.id()).or_default().push(finding);
    }
    by_process
}

/// All groups of a snapshot, in ascending order of their labels. `boot_unix_seconds` is when `CLOCK_BOOTTIME` was 0.
pub(super) fn group(snapshot: &Snapshot, boot_unix_seconds: f64) -> Vec<Group> {
    let mut groups: HashMap<GroupKey, Group> = HashMap::new();
    let findings = by_process(&snapshot.findings);
    for row in &snapshot.processes {
        let key = GroupKey::of(row);
        groups
            .entry(key.clone())
            .or_insert_with(|| Group::empty(key))
            .add(
                row,
                findings.get(&row.id).map_or(&[], Vec::as_slice),
                boot_unix_seconds,
            );
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    groups
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{FdUse, Group, GroupKey, MAX_RUNTIMES, OTHER, group};
    use crate::{
        model::snapshot::{Growth, ProcessRow, State, Unattributed},
        present::metrics::fixture::{row, snapshot},
    };

    fn only(processes: Vec<ProcessRow>) -> Group {
        let mut groups = group(&snapshot(0, processes), 1_000.0);
        assert_eq!(groups.len(), 1);
        groups.remove(0)
    }

    #[test]
    fn levels_of_a_name_are_summed() {
        let worker = |pid| ProcessRow {
            rss_anon_bytes: 10,
            rss_file_bytes: 20,
            rss_shmem_bytes: 30,
            swap_bytes: 40,
            maps: 50,
            fds: 60,
            threads: 70,
            unattributed: Unattributed { fds: 8, threads: 9 },
            ..row(pid, "worker")
        };
        let group = only(vec![worker(1), worker(2), worker(3)]);
        assert_eq!(group.processes, 3);
        assert_eq!(
            (
                group.rss_anon_bytes,
                group.rss_file_bytes,
                group.rss_shmem_bytes,
                group.swap_bytes
            ),
            (30, 60, 90, 120)
        );
        assert_eq!((group.maps, group.fds, group.threads), (150, 180, 210));
        assert_eq!((group.unattributed_fds, group.unattributed_threads), (24, 27));
        assert_eq!(group.held_bytes(), 240);
    }

    #[test]
    fn runtimes_are_counted_by_two_numbers_of_their_version_and_are_few() {
        let worker = |pid, version: &str| ProcessRow {
            runtime: Some("python".into()),
            runtime_version: Some(version.into()),
            ..row(pid, "worker")
        };
        let two = only(vec![worker(1, "3.11.2"), worker(2, "3.11.7"), row(3, "worker")]);
        let python = ("python".to_owned(), "3.11".to_owned());
        assert_eq!(two.runtimes, BTreeMap::from([(python, 2)]));
        let many = only((0..100).map(|n| worker(n, &format!("{n}.0"))).collect());
        assert_eq!(many.runtimes.len(), MAX_RUNTIMES);
    }

    #[test]
    fn name_and_container_tell_groups_apart() {
        let contained = |pid, id: &str| ProcessRow {
            container_id: Some(id.repeat(64).into()),
            ..row(pid, "nginx")
        };
        let groups = group(
            &snapshot(
                0,
                vec![
                    row(1, "nginx"),
                    contained(2, "a"),
                    contained(3, "b"),
                    row(4, "sshd"),
                ],
            ),
            0.0,
        );
        let keys: Vec<_> = groups
            .iter()
            .map(|g| (g.key.process.as_str(), g.key.container.as_str()))
            .collect();
        assert_eq!(
            keys,
            [
                ("nginx", ""),
                ("nginx", "aaaaaaaaaaaa"),
                ("nginx", "bbbbbbbbbbbb"),
                ("sshd", "")
            ]
        );
    }

    #[test]
    fn limit_and_ratio_are_those_of_the_worst_process() {
        let with_fds = |pid, fds, fd_limit| ProcessRow {
            fds,
            fd_limit,
            ..row(pid, "db")
        };
        let worst = only(vec![
            with_fds(1, 500, Some(1_000)),
            with_fds(2, 90, Some(100)),
            with_fds(3, 5_000, None),
        ])
        .worst_fds
        .unwrap();
        assert_eq!(
            worst,
            FdUse {
                ratio: 0.9,
                limit: 100
            }
        );
        assert_eq!(only(vec![with_fds(1, 5, None)]).worst_fds, None);
        assert_eq!(
            only(vec![with_fds(1, 3, Some(0))]).worst_fds,
            Some(FdUse { ratio: 3.0, limit: 0 })
        );
    }

    #[test]
    fn start_is_that_of_the_oldest_process() {
        let mut young = row(2, "sh");
        young.id.start_time_ns = 9_000_000_000;
        let mut old = row(1, "sh");
        old.id.start_time_ns = 2_500_000_000;
        assert_eq!(only(vec![young, old]).oldest_start_seconds, Some(1_002.5));
    }

    #[test]
    fn what_was_not_observed_is_absent_and_not_zero() {
        let seen = ProcessRow {
            mapped_anon_bytes: Some(7),
            growth: Growth {
                fds_per_second: Some(0.5),
                ..Growth::default()
            },
            ..row(1, "sh")
        };
        let group = only(vec![seen, row(2, "sh")]);
        assert_eq!(
            (group.mapped_anon_bytes, group.fds_growth, group.memory_growth),
            (Some(7), Some(0.5), None)
        );
        assert_eq!(only(vec![row(1, "sh")]).mapped_anon_bytes, None);
    }

    #[test]
    fn kinds_are_given_only_when_they_cover_the_whole_group() {
        let kinds = |sockets| Some(BTreeMap::from([("socket".to_owned(), sockets)]));
        let with_kinds = |pid, n| ProcessRow {
            fds: n,
            fd_kinds: kinds(n),
            ..row(pid, "db")
        };
        let without_fds = ProcessRow {
            fds: 0,
            state: State::Zombie,
            ..row(3, "db")
        };
        let whole = only(vec![with_kinds(1, 2), with_kinds(2, 3), without_fds]);
        assert_eq!(whole.fd_kinds, Some(BTreeMap::from([("socket".to_owned(), 5)])));
        let partial = only(vec![
            with_kinds(1, 2),
            ProcessRow {
                fds: 1,
                ..row(2, "db")
            },
        ]);
        assert_eq!(partial.fd_kinds, None);
    }

    #[test]
    fn a_hostile_name_cannot_break_the_labels_nor_pose_as_the_rest() {
        let name = |name| only(vec![row(1, name)]).key.process;
        assert_eq!(name(OTHER), "__other__?");
        assert_eq!(name("a\n\x1b[2Jb\u{85}"), "a\u{fffd}\u{fffd}[2Jb\u{fffd}");
        assert_eq!(name(""), "?");
    }

    #[test]
    fn folding_sums_and_forgets_what_has_no_sum() {
        let growing = ProcessRow {
            fds: 95,
            fd_limit: Some(100),
            state: State::Growing,
            growth: Growth {
                memory_bytes_per_second: Some(3.0),
                ..Growth::default()
            },
            ..row(1, "a")
        };
        let one = only(vec![growing]);
        assert!(one.is_urgent());
        let mut rest = Group::empty(GroupKey::other());
        rest.fold(&one);
        rest.fold(&one);
        assert_eq!((rest.processes, rest.fds, rest.growing), (2, 190, 2));
        assert_eq!(rest.memory_growth, Some(6.0));
        assert_eq!(
            (rest.worst_fds, rest.oldest_start_seconds, rest.fd_kinds),
            (None, None, None)
        );
    }

    #[test]
    fn near_its_descriptor_limit_is_urgent() {
        let with_fds = |fds| {
            only(vec![ProcessRow {
                fds,
                fd_limit: Some(100),
                ..row(1, "a")
            }])
        };
        assert!(with_fds(80).is_urgent());
        assert!(!with_fds(79).is_urgent());
    }
}
