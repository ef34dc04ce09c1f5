//! What the snapshots of a recording say together: every presenter of recordings sees one [`Recording`] or compares two
//! snapshots of them ([`compare`]).

pub mod compare;
pub mod series;

use std::{collections::BTreeMap, sync::Arc};

use self::series::{Levels, Series, levels};
use super::fields::severity;
use crate::model::{
    finding::{Finding, Resource, Subject, Verdict},
    identity::ProcessId,
    snapshot::{ProcessRow, Snapshot, State},
};

/// Processes remembered at most; of more, those go first that have ended and were never accused.
pub const MOST_PROCESSES: usize = 8192;

/// A recording, gathered snapshot by snapshot: bounded by [`MOST_PROCESSES`] and by what is found.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    began: Option<Moment>,
    last: Option<Snapshot>,
    readings: u64,
    courses: BTreeMap<ProcessId, Course>,
    findings: Vec<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    unix_ms: u64,
    uptime_ns: u64,
}

/// A finding as it was seen last.
#[derive(Clone, Debug)]
struct Known {
    finding: Finding,
    /// The worst that was ever said.
    worst: Verdict,
}

/// What one process did.
#[derive(Clone, Debug)]
pub struct Course {
    /// Who.
    pub id: ProcessId,
    /// Command name.
    pub name: String,
    /// Path of the executable.
    pub exe: Option<Arc<str>>,
    /// Container.
    pub container: Option<Arc<str>>,
    /// Where it stood when it was seen last.
    pub state: State,
    /// Whether it had ended when the recording did.
    pub ended: bool,
    /// What it held when it was seen first.
    pub first: Levels,
    /// What it held when it was seen last.
    pub last: Levels,
    /// The most it ever held of each.
    pub most: Levels,
    /// All of that over time.
    pub series: Series,
}

impl Recording {
    /// Adds the next snapshot.
    pub fn add(&mut self, snapshot: Snapshot) {
        let began = *self.began.get_or_insert(Moment {
            unix_ms: snapshot.time_unix_ms,
            uptime_ns: snapshot.uptime_ns,
        });
        let elapsed_ns = snapshot.uptime_ns.saturating_sub(began.uptime_ns);
        self.readings += 1;
        for course in self.courses.values_mut() {
            course.ended = true;
        }
        for process in &snapshot.processes {
            let course = self
                .courses
                .entry(process.id)
                .or_insert_with(|| Course::of(process));
            course.add(elapsed_ns, process);
        }
        self.add_findings(&snapshot.findings);
        self.forget();
        self.last = Some(snapshot);
    }

    /// What was only growth and is not said any more has turned out to be none.
    fn add_findings(&mut self, findings: &[Finding]) {
        self.findings.retain(|known| {
            known.worst >= Verdict::Suspected || findings.iter().any(|new| is_same(&known.finding, new))
        });
        for new in findings {
            match self
                .findings
                .iter_mut()
                .find(|known| is_same(&known.finding, new))
            {
                Some(known) => {
                    known.worst = known.worst.max(new.verdict);
                    known.finding = new.clone();
                }
                None => self.findings.push(Known {
                    worst: new.verdict,
                    finding: new.clone(),
                }),
            }
        }
    }

    fn forget(&mut self) {
        if self.courses.len() > MOST_PROCESSES {
            let findings = &self.findings;
            self.courses
                .retain(|id, course| !course.ended || findings.iter().any(|known| known.finding.id() == *id));
        }
    }

    /// Only what these processes did.
    #[must_use]
    pub fn only(mut self, pids: &std::collections::BTreeSet<u32>) -> Self {
        self.courses.retain(|id, _| pids.contains(&id.pid));
        self.findings.retain(|known| pids.contains(&known.finding.pid));
        self
    }

    /// The last snapshot; `None` when there was none.
    pub fn last(&self) -> Option<&Snapshot> {
        self.last.as_ref()
    }

    /// When the first snapshot was taken, milliseconds since the epoch.
    pub fn began_unix_ms(&self) -> Option<u64> {
        self.began.map(|began| began.unix_ms)
    }

    /// From the first snapshot to the last, nanoseconds.
    pub fn length_ns(&self) -> u64 {
        match (&self.began, &self.last) {
            (Some(began), Some(last)) => last.uptime_ns.saturating_sub(began.uptime_ns),
            _ => 0,
        }
    }

    /// Snapshots.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// Everything found, as it was seen last; worst first.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.findings.iter().map(|known| &known.finding).collect();
        findings.sort_by(|a, b| {
            let confidence = b.confidence.total_cmp(&a.confidence);
            b.verdict
                .cmp(&a.verdict)
                .then(confidence)
                .then(a.id().cmp(&b.id()))
        });
        findings
    }

    /// What the process did; `None` when it was not seen.
    pub fn course(&self, id: ProcessId) -> Option<&Course> {
        self.courses.get(&id)
    }

    /// What every process did: the worst state first, then by how much memory was gained.
    pub fn courses(&self) -> Vec<&Course> {
        let mut courses: Vec<&Course> = self.courses.values().collect();
        courses.sort_by_key(|course| {
            let gained = course.gained(Resource::Memory);
            std::cmp::Reverse((severity(course.state), gained))
        });
        courses
    }
}

impl Course {
    fn of(process: &ProcessRow) -> Self {
        let levels = levels(process);
        Self {
            id: process.id,
            name: process.name.clone(),
            exe: process.exe.clone(),
            container: process.container_id.clone(),
            state: process.state,
            ended: false,
            first: levels,
            last: levels,
            most: levels,
            series: Series::default(),
        }
    }

    fn add(&mut self, elapsed_ns: u64, process: &ProcessRow) {
        self.ended = false;
        self.state = process.state;
        if self.name != process.name {
            self.name.clone_from(&process.name);
        }
        self.exe.clone_from(&process.exe);
        self.container.clone_from(&process.container_id);
        self.last = levels(process);
        for (most, now) in self.most.iter_mut().zip(self.last) {
            *most = now.max(*most);
        }
        self.series.add(elapsed_ns, self.last);
    }

    /// By how much it holds more than at first.
    pub fn gained(&self, resource: Resource) -> i128 {
        i128::from(self.last[resource as usize]) - i128::from(self.first[resource as usize])
    }
}

fn is_same(a: &Finding, b: &Finding) -> bool {
    let key = |finding: &Finding| {
        // A group is the same whichever of its processes grows most.
        let id = (finding.subject == Subject::Process).then(|| finding.id());
        (id, finding.resource)
    };
    key(a) == key(b) && a.subject == b.subject && a.kind == b.kind
}

#[cfg(test)]
mod tests {
    use super::Recording;
    use crate::model::{
        finding::{Resource, Verdict},
        snapshot::Snapshot,
    };
    use crate::present::sample;

    fn recorded(snapshots: impl IntoIterator<Item = Snapshot>) -> Recording {
        let mut recording = Recording::default();
        for snapshot in snapshots {
            recording.add(snapshot);
        }
        recording
    }

    #[test]
    fn a_course_is_what_a_process_did() {
        let recording = recorded(sample::recording());
        let payments = recording.courses()[0];
        assert_eq!((payments.name.as_str(), payments.ended), ("payments", false));
        assert_eq!(payments.gained(Resource::Fd), 372);
        assert_eq!(recording.length_ns(), 600_000_000_000);
        assert_eq!(recording.readings(), 61);
    }

    #[test]
    fn growth_that_is_not_said_any_more_is_forgotten_and_an_accusation_is_not() {
        let mut calm = sample::snapshot();
        calm.findings.clear();
        let recording = recorded([sample::snapshot(), calm]);
        let verdicts: Vec<_> = recording
            .findings()
            .iter()
            .map(|finding| finding.verdict)
            .collect();
        assert_eq!(verdicts, [Verdict::Leaking, Verdict::Suspected]);
    }

    #[test]
    fn a_finding_is_reported_as_it_was_seen_last() {
        let mut later = sample::snapshot();
        later.findings[0].verdict = Verdict::Recovered;
        let recording = recorded([sample::snapshot(), later]);
        let findings = recording.findings();
        assert_eq!(findings[0].verdict, Verdict::Suspected);
        assert_eq!(findings.len(), sample::findings().len());
    }
}
