//! What an observation has seen so far, and what it comes to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{target::Target, watched::Watched};
use crate::{
    model::{
        finding::{FINDINGS_VERSION, Finding, Resource, Subject, Verdict},
        health::ProbeState,
        identity::ProcessId,
        snapshot::{Snapshot, State},
    },
    present::findings::{self, Document},
};

/// Why records are lost, and what helps.
const STARVED: &str = "this host leaves leakwatch too little time to read them; start it with nice -n -20";
/// One call stack in so many may be lost: what is found by the others is the same.
const STACKS_PER_LOSS: u64 = 100;
/// What costs something is read of so many processes at most.
const MOST_LOOKED_AT: usize = 64;

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
    /// Call stacks taken, and lost, before it began.
    stacks_before: (u64, u64),
    latest: Arc<Snapshot>,
    readings: u64,
    /// Readings before which deaths were lost.
    blind: u64,
    deaths_dropped: u64,
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
            stacks_before: stacks(&first),
            readings: 0,
            blind: 0,
            deaths_dropped: first.health.feed.deaths_dropped,
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
        let dropped = snapshot.health.feed.deaths_dropped;
        let blind = dropped > std::mem::replace(&mut self.deaths_dropped, dropped);
        self.blind += u64::from(blind);
        self.target.update(&snapshot, others);
        for process in &snapshot.processes {
            // One that waits to be reaped has ended.
            if process.state != State::Zombie && self.target.is_meant(process, &self.known) {
                self.known.insert(process.id.pid, process.id);
                let now_ns = snapshot.uptime_ns;
                let watched = self.watched.entry(process.id);
                let watched = watched.or_insert_with(|| Watched::since(now_ns));
                watched.saw(process, now_ns, blind);
            }
        }
        self.latest = snapshot;
        self.keep_findings();
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
                judged: watched.is_judged() || self.is_found(*id, watched),
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

    /// Whether there is a finding that says enough: what losses kept from being judged says only that it grows.
    fn is_found(&self, id: ProcessId, watched: &Watched) -> bool {
        let mut findings = self.findings_of(id);
        findings.any(|finding| !watched.is_broken() || finding.verdict == Verdict::Leaking)
    }

    fn grows(&self, id: ProcessId) -> bool {
        self.findings_of(id)
            .any(|finding| finding.verdict >= Verdict::Growing)
    }

    fn findings_of(&self, id: ProcessId) -> impl Iterator<Item = &Finding> {
        self.findings
            .values()
            .filter(move |finding| self::id(finding) == id)
    }

    /// What was not seen, and whether nothing can be concluded because of it.
    fn unobserved(&self, targets: &[findings::Target]) -> Vec<(String, bool)> {
        let mut problems = Vec::new();
        let (broken, brief): (Vec<_>, Vec<_>) = self
            .watched
            .iter()
            .zip(targets)
            .filter(|(_, target)| !target.judged)
            .partition(|((_, watched), _)| watched.is_broken());
        match &self.target {
            // Each of them was asked for.
            Target::Pids(pids) => {
                let is_there = |pid: &&u32| targets.iter().any(|target| target.pid == **pid);
                problems.extend(pids.iter().filter(|pid| !is_there(pid)).map(|pid| {
                    let what = format!("process {pid} was not observed: it ended before that began");
                    (what, true)
                }));
                problems.extend(brief.iter().map(|(_, target)| {
                    let (pid, name, time) = (target.pid, &target.process, target.observed_seconds);
                    let what = if target.ended {
                        format!("process {pid} ({name}) ended after {time:.0} s: too soon to say anything")
                    } else {
                        format!("process {pid} ({name}) was seen too seldom in {time:.0} s to say anything")
                    };
                    (what, true)
                }));
                problems.extend(broken.iter().map(|((_, watched), target)| {
                    let (pid, name, time) = (target.pid, &target.process, seconds(0, watched.whole_ns));
                    let what = format!(
                        "process {pid} ({name}) was seen for {time:.0} s at most between losses of records, too short to say \
                         anything: {STARVED}"
                    );
                    (what, true)
                }));
            }
            Target::Host | Target::Container(_) | Target::Name(_) | Target::Tree(_) => {
                let all = targets.len();
                if brief.len() + broken.len() == all {
                    let target = self.target.in_words();
                    let what = format!("no process of {target} was observed for long enough to say anything");
                    problems.push((what, true));
                } else if !brief.is_empty() {
                    let few = brief.len();
                    let what =
                        format!("{few} of {all} processes were there too briefly to say anything about them");
                    problems.push((what, false));
                }
                if !broken.is_empty() {
                    let grow = broken.iter().filter(|((id, _), _)| self.grows(**id)).count();
                    let few = broken.len();
                    let what = format!(
                        "{few} of {all} processes, of which {grow} grow, were seen too briefly between losses of records to \
                         say anything about them: {STARVED}"
                    );
                    problems.push((what, grow > 0));
                }
            }
        }
        if self.blind > 0 {
            let (blind, readings) = (self.blind, self.readings);
            let what = format!(
                "records were lost before {blind} of {readings} readings: what rests on them was frozen"
            );
            problems.push((what, 2 * blind > readings));
        }
        problems.extend(self.lost_stacks());
        for probe in &self.latest.health.probes {
            if probe.state == ProbeState::Failed {
                let reason = probe.reason.as_deref().unwrap_or("reason unknown");
                problems.push((format!("probe {} is not attached: {reason}", probe.name), false));
            }
        }
        problems
    }

    /// That too many call stacks were lost since it began.
    fn lost_stacks(&self) -> Option<(String, bool)> {
        let (taken_before, lost_before) = self.stacks_before;
        let (taken_now, lost_now) = stacks(&self.latest);
        let taken = taken_now.saturating_sub(taken_before);
        let lost = lost_now.saturating_sub(lost_before);
        let all = taken + lost;
        let what = format!("{lost} of {all} call stacks were lost, and with them what they took: {STARVED}");
        (lost.saturating_mul(STACKS_PER_LOSS) > all).then_some((what, lost > taken))
    }
}

/// Call stacks that were taken, and those that were lost.
fn stacks(snapshot: &Snapshot) -> (u64, u64) {
    let feed = &snapshot.health.feed;
    (feed.stacks_taken, feed.stacks_dropped)
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
mod tests;
