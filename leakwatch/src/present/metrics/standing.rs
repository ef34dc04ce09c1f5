//! Where one resource of a group stands: the findings about its processes, and the limit that is nearest.

use crate::model::{
    finding::{Finding, Limit, Resource, Verdict},
    snapshot::LimitUse,
};
use crate::present::words;

/// One for each of [`Resource::ALL`].
pub(super) type Standings = [Standing; Resource::ALL.len()];

/// Of one resource of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Standing {
    /// Known as soon as there is a finding about one of its processes.
    pub(super) verdicts: Option<Verdicts>,
    /// The highest of the findings.
    pub(super) confidence: Option<f64>,
    /// The fastest finding of each process, summed, a second.
    pub(super) rate: Option<f64>,
    /// When the process that is first at its limit is there, seconds from now.
    pub(super) earliest_seconds: Option<f64>,
    /// At the latest; `None` where it may never be.
    pub(super) latest_seconds: Option<f64>,
    /// The limit of which most is used.
    pub(super) limit: Option<Limit>,
}

/// How many processes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub(super) leaking: u64,
    /// And not known to leak.
    pub(super) suspected: u64,
    pub(super) exhausting: u64,
}

impl Standing {
    /// Adds one process: all findings about this resource of it, and its limits.
    pub(super) fn add<'a>(
        &mut self,
        findings: impl Iterator<Item = &'a Finding> + Clone,
        limits: impl Iterator<Item = &'a LimitUse>,
    ) {
        let of_findings = findings.clone().filter_map(|finding| finding.limit.as_ref());
        for limit in limits.map(|used| &used.limit).chain(of_findings) {
            self.add_limit(limit);
        }
        let Some(worst) = findings.clone().map(|finding| finding.verdict).max() else {
            return;
        };
        let verdicts = self.verdicts.get_or_insert_default();
        verdicts.leaking += u64::from(worst == Verdict::Leaking);
        verdicts.suspected += u64::from(worst == Verdict::Suspected);
        verdicts.exhausting += u64::from(findings.clone().any(|finding| finding.exhausting));
        let confidence = findings.clone().map(|finding| finding.confidence);
        self.confidence = confidence.chain(self.confidence).reduce(f64::max);
        let rates = findings.clone().filter_map(|finding| finding.rate_per_second);
        // A container's finding covers that of the process in it that grows most.
        let fastest = rates.map(|rate| rate.value).reduce(f64::max);
        self.rate = [self.rate, fastest].into_iter().flatten().reduce(|a, b| a + b);
        for span in findings.filter_map(|finding| finding.seconds_to_limit) {
            if self.earliest_seconds.is_none_or(|earliest| span.low < earliest) {
                self.earliest_seconds = Some(span.low);
                self.latest_seconds = span.high;
            }
        }
    }

    fn add_limit(&mut self, limit: &Limit) {
        let nearer = |known: &Limit| words::share(limit) > words::share(known);
        if self.limit.as_ref().is_none_or(nearer) {
            self.limit = Some(limit.clone());
        }
    }

    /// Adds what can be summed of a group that gets no series of its own.
    pub(super) fn fold(&mut self, other: &Self) {
        if let Some(more) = other.verdicts {
            let verdicts = self.verdicts.get_or_insert_default();
            verdicts.leaking += more.leaking;
            verdicts.suspected += more.suspected;
            verdicts.exhausting += more.exhausting;
        }
        self.rate = [self.rate, other.rate].into_iter().flatten().reduce(|a, b| a + b);
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, Verdicts};
    use crate::model::finding::{Finding, Resource};
    use crate::present::sample;

    fn sockets() -> Finding {
        sample::findings().remove(0)
    }

    fn standing(processes: &[&[Finding]]) -> Standing {
        let mut standing = Standing::default();
        for findings in processes {
            standing.add(findings.iter(), [].iter());
        }
        standing
    }

    #[test]
    fn processes_are_counted_once_and_their_rates_summed() {
        let slower = Finding {
            rate_per_second: sockets().rate_per_second.map(|mut rate| {
                rate.value = 1.0;
                rate
            }),
            ..sockets()
        };
        let standing = standing(&[&[sockets(), slower.clone()], &[slower]]);
        let verdicts = Verdicts {
            leaking: 2,
            ..Verdicts::default()
        };
        assert_eq!(standing.verdicts, Some(verdicts));
        assert_eq!(standing.rate, Some(3.1 + 1.0));
        assert_eq!(standing.confidence, Some(0.973));
    }

    #[test]
    fn the_time_is_that_of_the_process_that_is_first() {
        let mut later = sockets();
        later.seconds_to_limit.as_mut().expect("it rises").low = 9_000.0;
        let standing = standing(&[&[later], &[sockets()]]);
        assert_eq!(standing.earliest_seconds, Some(1083.5));
        assert_eq!(standing.latest_seconds, Some(1315.7));
    }

    #[test]
    fn without_a_finding_nothing_is_said_but_the_limit_is() {
        let mut standing = Standing::default();
        let limits = sample::process(1, "a").limits;
        standing.add(
            [].iter(),
            limits.iter().filter(|used| used.resource == Resource::Memory),
        );
        assert_eq!(
            (standing.verdicts, standing.rate, standing.confidence),
            (None, None, None)
        );
        assert_eq!(standing.limit.map(|limit| limit.value), Some(512 << 20));
    }
}
