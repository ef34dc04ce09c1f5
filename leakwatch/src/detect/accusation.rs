//! What was held when something was accused, and whether it was given back since.

use super::{
    bank::{Bank, NOW},
    floor::{Climb, floor_at},
    survival::Survival,
};

/// How long one has to watch who was accused before a restart, seconds: three times that without a new high end it.
const SPAN_BEFORE: f64 = 300.0;

/// An accusation, by floors of one scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accusation {
    scale: usize,
    /// What was held when the growth began, and the most since.
    base: f64,
    peak: f64,
    /// How long one has to watch, seconds.
    span: f64,
}

/// What became of an accusation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Half of what was gained has been given back.
    pub(super) released: bool,
    /// Since the last new high, seconds.
    pub(super) quiet: f64,
    /// How long one has to watch, seconds.
    pub(super) span: f64,
}

impl Accusation {
    /// Of a level whose survivors or whose climb tell when its growth began.
    pub(super) fn of(bank: &Bank, now_ns: u64, survivors: Option<&Survival>, climb: Option<&Climb>) -> Self {
        let now = bank.seconds(now_ns);
        let (scale, since, span) = match (survivors, climb) {
            (Some(survivors), _) => {
                let seconds = now_ns.saturating_sub(survivors.since_ns) as f64 / 1e9;
                (NOW, now - seconds, 0.0)
            }
            (None, Some(climb)) => (climb.scale, now - climb.age, climb.span),
            (None, None) => (NOW, now, 0.0),
        };
        let base = floor_at(&bank.history(scale), since);
        Self {
            scale,
            base,
            peak: base,
            span,
        }
    }

    /// From before a restart. What was held before is not known, so half of everything has to be given back.
    pub(super) fn from_before(level: u64) -> Self {
        Self {
            scale: NOW,
            base: 0.0,
            peak: level as f64,
            span: SPAN_BEFORE,
        }
    }

    /// What became of it until now.
    pub(super) fn outcome(&mut self, bank: &Bank, now_ns: u64, level: u64) -> Outcome {
        let newest = bank.recent(self.scale, 1);
        let now = newest.first().map_or(level as f64, |point| point.floor);
        self.peak = self.peak.max(now);
        Outcome {
            released: self.peak > self.base && now <= f64::midpoint(self.base, self.peak),
            quiet: bank.stalled(self.scale.max(NOW), now_ns),
            span: self.span,
        }
    }
}
