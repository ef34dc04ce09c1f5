//! What an observation has seen so far, and what it comes to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::target::Target;
use crate::{
    model::{
        finding::{FINDINGS_VERSION, Finding, Resource, Subject, Verdict},
        health::ProbeState,
        identity::ProcessId,
        snapshot::{ProcessRow, Snapshot, State},
    },
    present::findings::{self, Document},
};

/// Nothing is concluded about a process that was watched for less, or seen less often: on a host that is so busy that readings
/// fail to come, a minute may have four.
const ENOUGH_NS: u64 = 8_000_000_000;
const ENOUGH_READINGS: u64 = 6;
/// What costs something is read of so many processes at most.
const MOST_LOOKED_AT: usize = 64;

/// A process that was watched.
#[derive(Clone, Debug)]
struct Watched {
    process: String,
    container: Option<Arc<str>>,
    first_ns: u64,
    last_ns: u64,
    readings: u64,
    judged: bool,
}

/// What a finding is about.
type Topic = (Subject, Option<ProcessId>, Resource, String);

/// Who was watched, and what was found about them.
pub(super) struct Observation {
    target: Target,
    /// Who has which pid; who has ended is still there.
    known: BTreeMap<u32, ProcessId>,
    watched: BTreeMap<ProcessId, Watched>,
    findings: BTreeMap<Topic, Finding>,
    began_ns: u64,
    latest: Arc<Snapshot>,
    readings: u64,
    /// Readings before which records were lost.
    blind: u64,
    dropped: u64,
    /// What else went wrong, and whether nothing can be said because of it.
    problems: Vec<(String, bool)>,
}

impl Observation {
    pub(super) fn begin(target: Target, first: Arc<Snapshot>) -> Self {
        let mut observation = Self {
            target,
            known: BTreeMap::new(),
            watched: BTreeMap::new(),
            findings: BTreeMap::new(),
            began_ns: first.uptime_ns,
            readings: 0,
            blind: 0,
            dropped: first.health.feed.dropped,
            latest: Arc::clone(&first),
            problems: Vec::new(),
        };
        observation.add(first, &BTreeSet::new());
        observation
    }

    /// From now on it is about this.
    pub(super) fn watch(&mut self, target: Target) {
        self.target = target;
    }

    /// Takes in the next snapshot; `others` are children of leakwatch that nobody asked about.
    pub(super) fn add(&mut self, snapshot: Arc<Snapshot>, others: &BTreeSet<u32>) {
        self.readings += 1;
        let dropped = snapshot.health.feed.dropped;
        self.blind += u64::from(dropped > std::mem::replace(&mut self.dropped, dropped));
        self.target.update(&snapshot, others);
        for process in &snapshot.processes {
            // One that waits to be reaped has ended.
            if process.state != State::Zombie && self.target.is_meant(process, &self.known) {
                self.known.insert(process.id.pid, process.id);
                self.saw(process, snapshot.uptime_ns);
            }
        }
        self.latest = snapshot;
        self.keep_findings();
    }

    fn saw(&mut self, process: &ProcessRow, now_ns: u64) {
        let watched = self.watched.entry(process.id).or_insert_with(|| Watched {
            process: String::new(),
            container: None,
            first_ns: now_ns,
            last_ns: now_ns,
            readings: 0,
            judged: false,
        });
        watched.process.clone_from(&process.name);
        watched.container.clone_from(&process.container_id);
        watched.last_ns = now_ns;
        watched.readings += 1;
        watched.judged |= process.state != State::Observing;
    }

    /// Of who is alive the newest verdict counts, of who has ended the last one before.
    fn keep_findings(&mut self) {
        let snapshot = Arc::clone(&self.latest);
        let now_ns = snapshot.uptime_ns;
        let watched = &self.watched;
        let is_over = |id: &ProcessId| watched.get(id).is_some_and(|watched| watched.last_ns < now_ns);
        self.findings
            .retain(|(_, process, ..), _| process.as_ref().is_some_and(is_over));
        for finding in &snapshot.findings {
            if !self.is_meant(finding) {
                continue;
            }
            let topic = topic(finding);
            let known = self.findings.get(&topic);
            // Those that have ended are only said to have ended; the worst of a topic comes first.
            let is_worse = known.is_none_or(|known| known.verdict < finding.verdict);
            if finding.verdict != Verdict::Healthy && is_worse {
                self.findings.insert(topic, finding.clone());
            }
        }
    }

    /// Whether a finding is about somebody who is watched.
    pub(super) fn is_meant(&self, finding: &Finding) -> bool {
        match finding.subject {
            Subject::Process => self.watched.contains_key(&id(finding)),
            Subject::Container(_) | Subject::Unit(_) => self.target.is_group_meant(finding),
        }
    }

    /// Who is watched and was there at the last reading.
    pub(super) fn alive(&self) -> impl Iterator<Item = ProcessId> {
        let now_ns = self.latest.uptime_ns;
        let alive = self
            .watched
            .iter()
            .filter(move |(_, watched)| watched.last_ns == now_ns);
        alive.map(|(id, _)| *id)
    }

    /// Of whom more is wanted than the levels.
    pub(super) fn looked_at(&self) -> BTreeSet<u32> {
        match self.target {
            Target::Host => BTreeSet::new(),
            _ => self.alive().take(MOST_LOOKED_AT).map(|id| id.pid).collect(),
        }
    }

    /// Whether nobody is left to be watched, and nobody can come.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.target, Target::Pids(_)) && self.alive().next().is_none()
    }

    /// Notes what went wrong; `fatal` when nothing can be concluded from finding nothing.
    pub(super) fn problem(&mut self, what: String, fatal: bool) {
        self.problems.push((what, fatal));
    }

    pub(super) fn latest(&self) -> &Arc<Snapshot> {
        &self.latest
    }

    /// What it comes to.
    pub(super) fn document(self) -> Document {
        let now_ns = self.latest.uptime_ns;
        let targets: Vec<findings::Target> = self
            .watched
            .iter()
            .map(|(id, watched)| findings::Target {
                pid: id.pid,
                start_time_ns: id.start_time_ns,
                process: watched.process.clone(),
                container: watched.container.clone(),
                observed_seconds: seconds(watched.first_ns, watched.last_ns),
                judged: watched.judged
                    && watched.readings >= ENOUGH_READINGS
                    && watched.last_ns - watched.first_ns >= ENOUGH_NS
                    || self.findings.values().any(|finding| self::id(finding) == *id),
                ended: watched.last_ns < now_ns,
            })
            .collect();
        let mut problems = self.problems.clone();
        problems.extend(self.unobserved(&targets));
        let snapshot = &self.latest;
        let limits = findings::near_limits(snapshot, |process| self.watched.contains_key(&process.id));
        let mut found: Vec<Finding> = self.findings.into_values().collect();
        found.sort_by(|a, b| {
            let verdict = Reverse(a.verdict).cmp(&Reverse(b.verdict));
            verdict
                .then(b.exhausting.cmp(&a.exhausting))
                .then_with(|| b.confidence.total_cmp(&a.confidence))
                .then_with(|| (a.pid, a.resource, &a.kind).cmp(&(b.pid, b.resource, &b.kind)))
        });
        Document {
            schema_version: FINDINGS_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            host: snapshot.host.clone(),
            time_unix_ms: snapshot.time_unix_ms,
            observed_seconds: seconds(self.began_ns, now_ns),
            complete: !problems.iter().any(|(_, fatal)| *fatal),
            problems: problems.into_iter().map(|(what, _)| what).collect(),
            targets,
            findings: found,
            limits,
        }
    }

    /// What was not seen, and whether nothing can be concluded because of it.
    fn unobserved(&self, targets: &[findings::Target]) -> Vec<(String, bool)> {
        let mut problems = Vec::new();
        let briefly = |target: &&findings::Target| !target.judged;
        match self.target {
            // Each of them was asked for.
            Target::Pids(_) => problems.extend(targets.iter().filter(briefly).map(|target| {
                let (pid, name, time) = (target.pid, &target.process, target.observed_seconds);
                let what = if target.ended {
                    format!("process {pid} ({name}) ended after {time:.0} s: too soon to say anything")
                } else {
                    format!("process {pid} ({name}) was seen too seldom in {time:.0} s to say anything")
                };
                (what, true)
            })),
            _ => match targets.iter().filter(briefly).count() {
                few if few == targets.len() => problems.push((
                    format!(
                        "no process of {} was observed for long enough to say anything",
                        self.target.in_words()
                    ),
                    true,
                )),
                0 => {}
                few => problems.push((
                    format!(
                        "{few} of {} processes were there too briefly to say anything about them",
                        targets.len()
                    ),
                    false,
                )),
            },
        }
        if self.blind > 0 {
            let (blind, readings) = (self.blind, self.readings);
            let what = format!(
                "records were lost before {blind} of {readings} readings: what rests on them was frozen"
            );
            problems.push((what, 2 * blind > readings));
        }
        for probe in &self.latest.health.probes {
            if probe.state == ProbeState::Failed {
                let reason = probe.reason.as_deref().unwrap_or("reason unknown");
                problems.push((format!("probe {} is not attached: {reason}", probe.name), false));
            }
        }
        problems
    }
}

fn topic(finding: &Finding) -> Topic {
    let process = (finding.subject == Subject::Process).then(|| id(finding));
    (
        finding.subject.clone(),
        process,
        finding.resource,
        finding.kind.clone(),
    )
}

fn id(finding: &Finding) -> ProcessId {
    ProcessId {
        pid: finding.pid,
        start_time_ns: finding.start_time_ns,
    }
}

fn seconds(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::{Document, Finding, Observation, Snapshot, State, Target, Verdict};
    use crate::present::{findings::sample as findings, sample};

    const PID: u32 = 4711;

    fn snapshot(second: u64, state: Option<State>, verdict: Option<Verdict>) -> Arc<Snapshot> {
        let mut process = sample::quiet(PID, 1, "payments");
        process.state = state.unwrap_or(State::Observing);
        let finding = verdict.map(|verdict| Finding {
            start_time_ns: process.id.start_time_ns,
            verdict,
            ..findings::leak()
        });
        Arc::new(Snapshot {
            uptime_ns: second * 10_000_000_000,
            processes: state.map(|_| process).into_iter().collect(),
            findings: finding.into_iter().collect(),
            ..sample::snapshot()
        })
    }

    fn observed(target: Target, snapshots: Vec<Arc<Snapshot>>) -> Document {
        let mut snapshots = snapshots.into_iter();
        let mut observation = Observation::begin(target, snapshots.next().expect("a first one"));
        for snapshot in snapshots {
            observation.add(snapshot, &BTreeSet::new());
        }
        observation.document()
    }

    fn pids() -> Target {
        Target::Pids([PID].into())
    }

    fn verdicts(document: &Document) -> Vec<Verdict> {
        document.findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn the_last_verdict_counts() {
        let seen = |second, verdict| snapshot(second, Some(State::Healthy), verdict);
        let mut snapshots = vec![seen(1, None), seen(2, Some(Verdict::Leaking))];
        let document = observed(pids(), snapshots.clone());
        assert_eq!(verdicts(&document), [Verdict::Leaking]);
        assert!(document.complete && document.problems.is_empty(), "{document:?}");
        snapshots.push(seen(3, Some(Verdict::Recovered)));
        assert_eq!(
            verdicts(&observed(pids(), snapshots.clone())),
            [Verdict::Recovered]
        );
        snapshots.push(seen(4, None));
        assert_eq!(verdicts(&observed(pids(), snapshots)), []);
    }

    #[test]
    fn of_who_has_ended_the_verdict_before_counts() {
        let mut snapshots = vec![
            snapshot(1, Some(State::Healthy), None),
            snapshot(2, Some(State::Healthy), Some(Verdict::Leaking)),
            snapshot(3, None, Some(Verdict::Ended)),
        ];
        let document = observed(pids(), snapshots.clone());
        assert_eq!(verdicts(&document), [Verdict::Leaking]);
        assert!(document.targets[0].ended);
        snapshots.push(snapshot(4, None, None));
        assert_eq!(verdicts(&observed(pids(), snapshots)), [Verdict::Leaking]);
    }

    #[test]
    fn who_ended_too_soon_was_not_observed() {
        let document = observed(
            pids(),
            vec![
                snapshot(1, Some(State::Observing), None),
                snapshot(3, Some(State::Observing), None),
                snapshot(4, None, None),
            ],
        );
        assert!(!document.complete);
        assert_eq!(
            document.problems,
            ["process 4711 (payments) ended after 20 s: too soon to say anything"]
        );
        let document = observed(Target::Host, vec![snapshot(1, Some(State::Observing), None)]);
        assert!(!document.complete);
        assert_eq!(
            document.problems,
            ["no process of this host was observed for long enough to say anything"]
        );
        let document = observed(Target::Host, vec![snapshot(1, None, None)]);
        assert!(!document.complete, "nobody is not everybody");
    }

    #[test]
    fn lost_records_are_said_and_when_there_are_many_nothing_else() {
        let healthy = |second, dropped| {
            let mut snapshot = (*snapshot(second, Some(State::Healthy), None)).clone();
            snapshot.health.feed.dropped = dropped;
            Arc::new(snapshot)
        };
        let series = |dropped: [u64; 8]| {
            let readings = (1..).zip(dropped);
            observed(
                pids(),
                readings
                    .map(|(second, dropped)| healthy(second, dropped))
                    .collect(),
            )
        };
        let once = series([5, 6, 6, 6, 6, 6, 6, 6]);
        assert!(once.complete && once.problems.len() == 1, "{once:?}");
        let often = series([5, 6, 7, 8, 9, 10, 10, 10]);
        assert!(!often.complete);
    }

    #[test]
    fn a_glance_is_no_observation() {
        let healthy = snapshot(1, Some(State::Healthy), None);
        let mut soon = (*healthy).clone();
        soon.uptime_ns += 3_000_000_000;
        let document = observed(pids(), vec![healthy, Arc::new(soon)]);
        assert!(!document.complete && !document.targets[0].judged);
        let seldom = (1..=5).map(|minute| snapshot(6 * minute, Some(State::Healthy), None));
        let document = observed(pids(), seldom.collect());
        assert_eq!(
            document.problems,
            ["process 4711 (payments) was seen too seldom in 240 s to say anything"]
        );
        assert!(!document.complete);
    }

    #[test]
    fn others_are_not_meant() {
        let healthy = snapshot(1, Some(State::Healthy), Some(Verdict::Leaking));
        let document = observed(Target::Pids([PID + 1].into()), vec![healthy]);
        assert!(document.findings.is_empty() && document.targets.is_empty());
    }
}
