//! What each reason adds to the logarithm of the odds. A table, so that it can be fitted anew.

use crate::model::finding::{Evidence, Resource};

/// Why, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Few things leak.
    Prior,
    /// It has only just started, and everything that starts grows.
    Young,
    /// A verdict from before the agent was started anew.
    Remembered,
    /// It was accused, and nothing took that back since.
    Upheld,
    /// The same program leaked the same before.
    SeenBefore,
    /// Nothing old dies any more.
    Survival,
    /// The same place gives back what else it takes.
    Turnover,
    /// It has only begun, and gave nothing back yet: it may do so at once.
    FirstCycle,
    /// Little is overdue.
    Few,
    /// Much is overdue.
    Amount,
    /// What is overdue is not used.
    Stale,
    /// What is overdue is used.
    Touched,
    /// The peer has closed, this side has not.
    CloseWait,
    /// One file, open again and again.
    SameFile,
    /// Threads that wait in one place and never run.
    WaitingAlike,
    /// A straight climb for an hour and more.
    Climb,
    /// The same for twice, four and eight times as long.
    LongClimb,
    /// The limit is near.
    Exhausting,
    /// Things of one name are more at every census.
    HolderGrows,
    /// And the oldest of them waits since it began.
    WaitsSince,
    /// A collector of garbage leaves more and more.
    KeptAfterCollection,
    /// It leaves as much as ever, and the process grows.
    NotLive,
    /// The allocator has ever more that is free.
    FreeInside,
}

/// Name and log-odds of each reason.
const WEIGHTS: [(Reason, &str, f64); 23] = [
    (Reason::Prior, "prior", -6.9),
    (Reason::Young, "young", -2.0),
    (Reason::Remembered, "remembered", 1.0),
    (Reason::Upheld, "upheld", 1.0),
    (Reason::SeenBefore, "seen-before", 1.0),
    (Reason::Survival, "survival", 4.0),
    (Reason::Turnover, "turnover", 3.0),
    (Reason::FirstCycle, "first-cycle", -1.5),
    (Reason::Few, "few", -1.5),
    (Reason::Amount, "amount", 1.5),
    (Reason::Stale, "staleness", 4.0),
    (Reason::Touched, "in-use", -6.0),
    (Reason::CloseWait, "close-wait", 5.0),
    (Reason::SameFile, "same-file", 4.0),
    (Reason::WaitingAlike, "waiting-alike", 1.0),
    (Reason::Climb, "climb", 6.9),
    (Reason::LongClimb, "long-climb", 1.5),
    (Reason::Exhausting, "exhausting", 1.5),
    (Reason::HolderGrows, "holder-grows", 1.5),
    (Reason::WaitsSince, "waits-since", 4.0),
    (Reason::KeptAfterCollection, "kept-after-collection", 1.5),
    (Reason::NotLive, "not-live", -4.0),
    (Reason::FreeInside, "free-inside", -4.0),
];

/// Name and log-odds of each reason that can be given: what a fit starts from.
pub fn weights() -> impl ExactSizeIterator<Item = (&'static str, f64)> {
    WEIGHTS.iter().map(|&(_, name, log_odds)| (name, log_odds))
}

/// The case for a leak, reason by reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Case {
    evidence: Vec<Evidence>,
}

impl Case {
    /// Adds a reason in words.
    pub(super) fn add(&mut self, reason: Reason, text: String) {
        self.add_times(reason, 1.0, text);
    }

    /// Adds a reason that counts so many times.
    pub(super) fn add_times(&mut self, reason: Reason, times: f64, text: String) {
        let weight = WEIGHTS.iter().find(|(of, ..)| *of == reason);
        self.evidence.extend(weight.map(|&(_, name, log_odds)| Evidence {
            name: name.to_owned(),
            log_odds: log_odds * times,
            text,
        }));
    }

    /// Adds everything that another case says.
    pub(super) fn join(&mut self, other: Self) {
        self.evidence.extend(other.evidence);
    }

    /// Natural logarithm of the odds that it is a leak.
    pub(super) fn log_odds(&self) -> f64 {
        self.evidence.iter().map(|evidence| evidence.log_odds).sum()
    }

    /// Everything said, strongest first.
    pub(super) fn into_evidence(mut self) -> Vec<Evidence> {
        self.evidence.sort_by(|a, b| {
            b.log_odds
                .abs()
                .total_cmp(&a.log_odds.abs())
                .then_with(|| a.name.cmp(&b.name))
        });
        self.evidence
    }
}

/// Something that has an opinion on whether a level leaks.
pub(super) trait Witness {
    /// Says it.
    fn testify(&self, stand: &Stand, case: &mut Case);
}

/// What every witness may know beyond what it saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) now_ns: u64,
    pub(super) resource: Resource,
    /// What is overdue, and how much of it is no accident, in units of the resource.
    pub(super) enough: f64,
    pub(super) overdue: f64,
    /// It is given the time to give back what it takes: its limit is far, and a look showed at most that it is not used.
    pub(super) can_wait: bool,
    /// A collector of garbage accesses what is held: that it is accessed does not show that it is used.
    pub(super) is_traced: bool,
    /// The least time to its limit, seconds; 0 while that is not known.
    pub(super) time_left: f64,
}

/// The probability for logarithmic odds.
pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The inverse of [`probability`].
pub(super) fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(1e-9, 1.0 - 1e-9);
    (probability / (1.0 - probability)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_weight() {
        let mut case = Case::default();
        for (reason, ..) in WEIGHTS {
            case.add(reason, String::new());
        }
        let names: Vec<String> = case
            .into_evidence()
            .into_iter()
            .map(|evidence| evidence.name)
            .collect();
        assert_eq!(names.len(), WEIGHTS.len());
        assert!(
            WEIGHTS
                .iter()
                .all(|(_, name, _)| names.iter().any(|of| of == name))
        );
    }

    #[test]
    fn odds_and_probability_agree() {
        assert!((probability(2.2) - 0.9).abs() < 0.01);
        assert!((log_odds(probability(-3.0)) + 3.0).abs() < 1e-9);
    }
}
