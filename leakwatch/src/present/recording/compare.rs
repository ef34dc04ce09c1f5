//! What grew between two moments: of one recording, or of two.
//!
//! A process that is there at both is compared with itself. All others are compared by program, that is executable and
//! name, as sums: after a restart or on another host nobody has the same pid.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use serde::Serialize;

use super::series::{Levels, levels};
use crate::model::{finding::Resource, identity::ProcessId, snapshot::Snapshot};
use crate::present::profile::{self, Profile, diff::Diff};

/// The difference of two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The earlier one.
    pub base: Moment,
    /// The later one.
    pub new: Moment,
    /// Every level that differs; by resource, what grew most first.
    pub processes: Vec<ProcessChange>,
    /// Every function whose holdings differ; by resource, what grew most first.
    pub sites: Vec<SiteChange>,
}

/// Where and when a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Host name.
    pub host: String,
    /// Milliseconds since the epoch.
    pub time_unix_ms: u64,
}

/// A process or program holds more or less than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessChange {
    /// Of what.
    pub resource: &'static str,
    /// Command name.
    pub process: String,
    /// Path of the executable, when known.
    pub exe: Option<String>,
    /// The process that is there at both moments; `None` for a program.
    pub pid: Option<u32>,
    /// Processes that were counted before.
    pub processes_base: usize,
    /// Processes that are counted now.
    pub processes_new: usize,
    /// Held before: bytes of memory, else a count.
    pub base: u64,
    /// Held now.
    pub new: u64,
    /// `new - base`.
    pub change: i64,
}

/// A function's holdings changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteChange {
    /// Of what.
    pub resource: &'static str,
    /// Command name.
    pub process: String,
    /// `socket`, `mapping`, `first_touch`, ...
    pub kind: String,
    /// The function to look at first.
    pub function: String,
    /// Held before.
    pub base: u64,
    /// Held now.
    pub new: u64,
    /// `new - base`.
    pub change: i64,
}

/// Who is compared with whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Same(ProcessId),
    Program { exe: Option<String>, name: String },
}

#[derive(Default)]
struct Sum {
    name: String,
    exe: Option<String>,
    base: Levels,
    new: Levels,
    processes_base: usize,
    processes_new: usize,
}

impl Comparison {
    /// What `new` holds that `base` did not, and the other way round.
    pub fn between(base: &Snapshot, new: &Snapshot) -> Self {
        Self {
            base: Moment::of(base),
            new: Moment::of(new),
            processes: processes(base, new),
            sites: sites(base, new),
        }
    }
}

impl Moment {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            host: snapshot.host.clone(),
            time_unix_ms: snapshot.time_unix_ms,
        }
    }
}

fn processes(base: &Snapshot, new: &Snapshot) -> Vec<ProcessChange> {
    let mut sums: BTreeMap<Who, Sum> = BTreeMap::new();
    let before: HashSet<ProcessId> = base.processes.iter().map(|process| process.id).collect();
    let after = new.processes.iter().map(|process| process.id);
    let both: HashSet<ProcessId> = after
        .filter(|id| base.host == new.host && before.contains(id))
        .collect();
    for (snapshot, is_new) in [(base, false), (new, true)] {
        for process in &snapshot.processes {
            let exe = process.exe.as_deref().map(str::to_owned);
            let who = if both.contains(&process.id) {
                Who::Same(process.id)
            } else {
                Who::Program {
                    exe: exe.clone(),
                    name: process.name.clone(),
                }
            };
            let sum = sums.entry(who).or_default();
            sum.name.clone_from(&process.name);
            sum.exe = exe;
            let (held, count) = if is_new {
                (&mut sum.new, &mut sum.processes_new)
            } else {
                (&mut sum.base, &mut sum.processes_base)
            };
            *count += 1;
            for (held, level) in held.iter_mut().zip(levels(process)) {
                *held = held.saturating_add(level);
            }
        }
    }
    let mut changes = Vec::new();
    for resource in Resource::ALL {
        let of_resource = sums
            .iter()
            .map(|(who, sum)| sum.change(who, resource))
            .filter(|change| change.change != 0);
        let mut of_resource: Vec<_> = of_resource.collect();
        of_resource.sort_by_key(|change| Reverse(change.change));
        changes.append(&mut of_resource);
    }
    changes
}

impl Sum {
    fn change(&self, who: &Who, resource: Resource) -> ProcessChange {
        let [base, new] = [self.base, self.new].map(|levels| levels[resource as usize]);
        ProcessChange {
            resource: resource.name(),
            process: self.name.clone(),
            exe: self.exe.clone(),
            pid: match who {
                Who::Same(id) => Some(id.pid),
                Who::Program { .. } => None,
            },
            processes_base: self.processes_base,
            processes_new: self.processes_new,
            base,
            new,
            change: difference(base, new),
        }
    }
}

fn sites(base: &Snapshot, new: &Snapshot) -> Vec<SiteChange> {
    let mut changes = Vec::new();
    for resource in profile::Resource::ALL {
        let [base, new] = [base, new].map(|snapshot| {
            let pids = snapshot.processes.iter().map(|process| process.id.pid).collect();
            Profile::of(snapshot, &pids, resource, 0)
        });
        // Both are of the same resource.
        let Ok(diff) = Diff::between(&base, &new) else {
            continue;
        };
        changes.extend(diff.by_function().into_iter().map(|change| SiteChange {
            resource: resource.name(),
            change: difference(change.base, change.new),
            process: change.process,
            kind: change.kind,
            function: change.function,
            base: change.base,
            new: change.new,
        }));
    }
    changes
}

fn difference(base: u64, new: u64) -> i64 {
    i64::try_from(i128::from(new) - i128::from(base)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Comparison, ProcessChange};
    use crate::present::sample;

    fn fds(comparison: &Comparison) -> Vec<&ProcessChange> {
        let processes = comparison.processes.iter();
        processes.filter(|change| change.resource == "fd").collect()
    }

    #[test]
    fn a_process_that_stays_is_compared_with_itself() {
        let recording = sample::recording();
        let comparison = Comparison::between(&recording[0], &recording[60]);
        let fds = fds(&comparison);
        assert_eq!(
            (fds[0].pid, fds[0].base, fds[0].new, fds[0].change),
            (Some(4711), 40, 412, 372)
        );
        assert_eq!(fds.len(), 1, "what did not change is left out");
        let site = &comparison
            .sites
            .iter()
            .find(|site| site.resource == "fd")
            .expect("sites differ");
        assert_eq!((site.function.as_str(), site.change), ("HttpPool::connect", 300));
    }

    #[test]
    fn after_a_restart_programs_are_compared() {
        let base = sample::snapshot();
        let mut new = sample::snapshot();
        for process in &mut new.processes {
            process.id.pid += 1000;
            process.fds += 5;
        }
        let comparison = Comparison::between(&base, &new);
        let payments = fds(&comparison)
            .into_iter()
            .find(|change| change.process == "payments")
            .expect("it is there");
        assert_eq!((payments.pid, payments.change), (None, 5));
        assert_eq!((payments.processes_base, payments.processes_new), (1, 1));
    }

    #[test]
    fn nothing_changed_is_nothing_said() {
        let comparison = Comparison::between(&sample::snapshot(), &sample::snapshot());
        assert!(comparison.processes.is_empty() && comparison.sites.is_empty());
    }

    #[test]
    fn the_same_pid_on_another_host_is_another_process() {
        let base = sample::snapshot();
        let mut new = sample::snapshot();
        new.host = "db-2".to_owned();
        new.processes[3].fds += 1;
        assert_eq!(fds(&Comparison::between(&base, &new))[0].pid, None);
    }
}
