//! What was said about one process, from its first moment to its last.

use std::{collections::BTreeMap, time::Duration};

use leakwatch::model::finding::{Finding, Resource, Verdict};

/// Everything said about one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    said: BTreeMap<(Resource, String), Said>,
}

/// What was said about one kind of one resource of it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The worst verdict there ever was.
    pub(crate) worst: Verdict,
    /// Age of the process when it was first suspected, or worse.
    pub(crate) suspected: Option<Duration>,
    /// The same of leaking.
    pub(crate) leaking: Option<Duration>,
    /// The last one there was with the worst verdict.
    pub(crate) finding: Finding,
    /// What was said last.
    pub(crate) last: Verdict,
}

impl Timeline {
    /// Takes what is said when the process is of `age`.
    pub(crate) fn hear(&mut self, age: Duration, finding: Finding) {
        let key = (finding.resource, finding.kind.clone());
        let said = self.said.entry(key).or_insert_with(|| Said {
            worst: finding.verdict,
            suspected: None,
            leaking: None,
            finding: finding.clone(),
            last: finding.verdict,
        });
        said.last = finding.verdict;
        if finding.verdict >= Verdict::Suspected {
            said.suspected.get_or_insert(age);
        }
        if finding.verdict >= Verdict::Leaking {
            said.leaking.get_or_insert(age);
        }
        if finding.verdict >= said.worst {
            said.worst = finding.verdict;
            said.finding = finding;
        }
    }

    /// The worst that was said about `resource`; of equals the one with more confidence.
    pub(crate) fn worst_of(&self, resource: Resource) -> Option<&Said> {
        self.worst_where(|of| of == resource)
    }

    /// The worst that was said at all.
    pub(crate) fn worst(&self) -> Option<&Said> {
        self.worst_where(|_| true)
    }

    fn worst_where(&self, wanted: impl Fn(Resource) -> bool) -> Option<&Said> {
        let said = self.said.iter().filter(|((resource, _), _)| wanted(*resource));
        said.map(|(_, said)| said).max_by(|a, b| {
            let confidence = a.finding.confidence.total_cmp(&b.finding.confidence);
            a.worst.cmp(&b.worst).then(confidence)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leakwatch::model::finding::{Resource, Verdict};
    use leakwatch_tests::findings::finding;

    use super::Timeline;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_false_alarm_that_was_taken_back_is_remembered() {
        let mut timeline = Timeline::default();
        timeline.hear(at(10), finding(Resource::Fd, Verdict::Growing, 0.1));
        timeline.hear(at(20), finding(Resource::Fd, Verdict::Leaking, 0.9));
        timeline.hear(at(30), finding(Resource::Fd, Verdict::Recovered, 0.2));
        let said = timeline.worst_of(Resource::Fd).expect("it was heard");
        assert_eq!((said.worst, said.last), (Verdict::Leaking, Verdict::Recovered));
        assert_eq!((said.suspected, said.leaking), (Some(at(20)), Some(at(20))));
        assert!((said.finding.confidence - 0.9).abs() < 1e-9);
    }

    #[test]
    fn the_first_moment_of_each_verdict_counts() {
        let mut timeline = Timeline::default();
        for (second, verdict) in [
            (5, Verdict::Suspected),
            (9, Verdict::Leaking),
            (12, Verdict::Leaking),
        ] {
            timeline.hear(at(second), finding(Resource::Thread, verdict, 0.5));
        }
        let said = timeline.worst().expect("it was heard");
        assert_eq!((said.suspected, said.leaking), (Some(at(5)), Some(at(9))));
        assert!(timeline.worst_of(Resource::Memory).is_none());
    }
}
