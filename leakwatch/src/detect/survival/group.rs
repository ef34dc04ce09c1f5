//! What one stack took, or all stacks together that took one kind, as the test sees it.

use leakwatch_common::kind::Kind;

use super::{
    Survival,
    hazard::{FIRST_POWER, Test},
    shape::Shape,
    turns_over,
};
use crate::{
    aggregate::{
        cohorts::{Cohort, Cohorts},
        lifetimes::{BUCKETS, Lifetimes},
        sites::Survivor,
    },
    detect::survey::Survey,
    model::stack::StackId,
};

/// Logarithm of the evidence from which on the test has passed.
const THRESHOLD: f64 = 20.0;
/// Ages tried: the usual one, and 4 and 16 times as much.
const STEPS: [usize; 3] = [0, 2, 4];
/// Survivors are looked at over so many times the age.
const MEMORY: u64 = 64;
/// Generations with survivors, of eight.
const FILLED: usize = 7;
/// Sampled survivors.
const LEAST_SAMPLES: usize = 16;
/// Of so many pages a closer look says something. It is the only one for ten minutes, so it is not taken before.
const PROMISING_PAGES: usize = 32;
/// For how long a site has to be watched; for a closer look it is shorter, because that takes its time, too.
const LEAST_AGE_NS: u64 = 20_000_000_000;
const PROMISING_AGE_NS: u64 = 8_000_000_000;

/// One stack's things, or those of all stacks.
pub(super) struct Group<'a> {
    pub(super) now_ns: u64,
    pub(super) kind: Kind,
    pub(super) stack: Option<StackId>,
    pub(super) survivors: &'a [Survivor],
    whole_since_ns: u64,
    lifetimes: &'a Lifetimes,
    cohorts: &'a [&'a Cohorts],
}

impl<'a> Group<'a> {
    pub(super) fn new(
        survey: &'a Survey<'_>,
        kind: Kind,
        stack: Option<StackId>,
        lifetimes: &'a Lifetimes,
        cohorts: &'a [&'a Cohorts],
    ) -> Self {
        Self {
            now_ns: survey.now_ns,
            kind,
            stack,
            survivors: survey.survivors(kind, stack),
            whole_since_ns: survey.whole_since_ns(kind),
            lifetimes,
            cohorts,
        }
    }

    fn births(&self) -> impl Iterator<Item = Cohort> {
        self.cohorts.iter().flat_map(|cohorts| cohorts.iter())
    }

    /// How many died later than `2^(FIRST_POWER + slot)` us.
    pub(super) fn late_deaths(&self, slot: usize) -> u32 {
        u32::try_from(self.lifetimes.at_least(FIRST_POWER + slot)).unwrap_or(u32::MAX)
    }

    /// The power of two, microseconds, beyond which something is overdue.
    fn usual(&self, age_ns: u64) -> usize {
        let usual = if self.lifetimes.count() >= super::CLOSED {
            2 * self.lifetimes.quantile_ns(0.95).unwrap_or(0)
        } else {
            age_ns / 8
        };
        // To the nearest: 4.2 s and 8.4 s meet at 5.9 s, where the square is 2^45.
        let micros = u128::from((usual / 1_000).max(1));
        let power = (micros * micros).ilog2().div_ceil(2) as usize;
        power.clamp(FIRST_POWER, BUCKETS - 1)
    }

    /// What the test says; `None` when nothing was taken yet.
    pub(super) fn survival(&self, test: &Test) -> Option<Survival> {
        let began_ns = self
            .cohorts
            .iter()
            .filter_map(|cohorts| cohorts.began_ns())
            .min()?;
        // Of before a loss nobody survives; it does not show that nothing was kept.
        let whole_ns = began_ns.max(self.whole_since_ns);
        let age_ns = self.now_ns.saturating_sub(whole_ns);
        let usual = self.usual(age_ns);
        let tried = STEPS
            .iter()
            .map(|step| usual + step)
            .filter(|&power| power < BUCKETS);
        let power = tried.max_by(|&a, &b| {
            // Of equal ones the shorter age.
            test.evidence(a).total_cmp(&test.evidence(b)).then(b.cmp(&a))
        })?;
        let log_evidence = test.evidence(power) - (STEPS.len() as f64).ln();
        let beyond_ns = 1_000_u64 << power;
        let end_ns = self.now_ns.saturating_sub(beyond_ns);
        let since_ns = whole_ns.max(self.now_ns.saturating_sub(beyond_ns.saturating_mul(MEMORY)));
        let overdue: Vec<&Survivor> = self
            .survivors
            .iter()
            .filter(|survivor| survivor.since_ns <= end_ns)
            .collect();
        let shape = Shape::of(&overdue, since_ns, end_ns);
        let recent = self
            .survivors
            .iter()
            .filter(|survivor| survivor.since_ns >= since_ns);
        let held = recent.clone().map(|survivor| survivor.weight).sum();
        let seen = recent.count() as f64;
        let samples: u32 = self
            .births()
            .filter(|cohort| cohort.since_ns >= since_ns)
            .map(|cohort| cohort.samples)
            .sum();
        let closed = self.lifetimes.count();
        let taken = self.births().map(|cohort| u64::from(cohort.samples)).sum::<u64>();
        let spreads = shape.spreads() && overdue.len() >= LEAST_SAMPLES;
        let is_memory = matches!(self.kind, Kind::FirstTouch | Kind::Mapping);
        let suffices = !is_memory || overdue.len() >= PROMISING_PAGES;
        let promising = spreads && suffices && age_ns >= PROMISING_AGE_NS;
        let rising = spreads && age_ns >= LEAST_AGE_NS && shape.filled >= FILLED;
        Some(Survival {
            kind: self.kind,
            stack: self.stack,
            passed: rising && log_evidence >= THRESHOLD,
            rising,
            promising,
            log_evidence,
            overdue: overdue.iter().map(|survivor| survivor.weight).sum(),
            overdue_samples: overdue.len(),
            beyond_ns,
            generations: shape.filled,
            closed,
            // Pages at the end of a heap come and go whoever keeps the rest.
            turns_over: self.kind != Kind::FirstTouch && turns_over(closed, taken),
            taken,
            share: if samples > 0 {
                (seen / f64::from(samples)).min(1.0)
            } else {
                1.0
            },
            began_ns,
            since_ns,
            held,
            oldest_ns: overdue
                .iter()
                .map(|survivor| survivor.since_ns)
                .min()
                .unwrap_or(self.now_ns),
        })
    }
}
