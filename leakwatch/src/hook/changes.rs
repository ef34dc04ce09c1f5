//! What is new since the last look.

use std::collections::HashMap;

use crate::model::{
    finding::{Finding, Resource, Subject, Verdict},
    identity::ProcessId,
};

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Topic {
    subject: Subject,
    process: Option<ProcessId>,
    resource: Resource,
    kind: String,
}

impl Topic {
    fn of(finding: &Finding) -> Self {
        // Which process of a group grows most changes from tick to tick.
        let process = (finding.subject == Subject::Process).then_some(ProcessId {
            pid: finding.pid,
            start_time_ns: finding.start_time_ns,
        });
        Self {
            subject: finding.subject.clone(),
            process,
            resource: finding.resource,
            kind: finding.kind.clone(),
        }
    }
}

/// The verdicts of the last look; as many as there were findings.
#[derive(Debug, Default)]
pub(super) struct Changes {
    verdicts: HashMap<Topic, Verdict>,
}

impl Changes {
    /// The findings whose verdict is another than at the last look. A first look finds everything changed.
    pub(super) fn of<'a>(&mut self, findings: impl Iterator<Item = &'a Finding>) -> Vec<&'a Finding> {
        let mut verdicts = HashMap::new();
        let mut changed = Vec::new();
        for finding in findings {
            let topic = Topic::of(finding);
            let before = self.verdicts.get(&topic).or_else(|| verdicts.get(&topic));
            if before != Some(&finding.verdict) {
                changed.push(finding);
            }
            // The worst comes first and stands for its topic.
            verdicts.entry(topic).or_insert(finding.verdict);
        }
        self.verdicts = verdicts;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, Finding, Subject, Verdict};
    use crate::present::findings::sample;

    #[test]
    fn only_what_changed_is_said() {
        let mut changes = Changes::default();
        let mut look = |findings: &[Finding]| changes.of(findings.iter()).len();
        let mut leak = sample::leak();
        assert_eq!(look(std::slice::from_ref(&leak)), 1);
        assert_eq!(look(std::slice::from_ref(&leak)), 0);
        leak.in_use += 1;
        assert_eq!(look(std::slice::from_ref(&leak)), 0);
        leak.verdict = Verdict::Recovered;
        assert_eq!(look(std::slice::from_ref(&leak)), 1);
        assert_eq!(look(&[]), 0);
        assert_eq!(
            look(std::slice::from_ref(&leak)),
            1,
            "it was gone and is there again"
        );
        leak.start_time_ns += 1;
        assert_eq!(look(std::slice::from_ref(&leak)), 1, "another process");
        leak.subject = Subject::Unit("shop.service".into());
        assert_eq!(look(std::slice::from_ref(&leak)), 1);
        leak.pid += 1;
        assert_eq!(look(std::slice::from_ref(&leak)), 0, "the same unit");
    }
}
