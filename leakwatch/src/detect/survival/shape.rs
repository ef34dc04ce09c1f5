//! How survivors are spread over the time in which they were born.

use crate::aggregate::sites::Survivor;

/// Generations that the time looked at is divided into.
const GENERATIONS: usize = 8;
/// The later half has at least this part of the survivors of the earlier one.
const LATER_HALF: f64 = 0.7;
/// The most that one generation may have.
const CONCENTRATION: f64 = 0.4;

/// Their generations.
pub(super) struct Shape {
    /// Generations with survivors.
    pub(super) filled: usize,
    later_half: f64,
    concentration: f64,
}

impl Shape {
    /// Of what was born between these two times and is overdue.
    pub(super) fn of(overdue: &[&Survivor], since_ns: u64, end_ns: u64) -> Self {
        let width = (end_ns.saturating_sub(since_ns) / GENERATIONS as u64).max(1);
        let mut generations = [0_u64; GENERATIONS];
        for survivor in overdue.iter().filter(|survivor| survivor.since_ns >= since_ns) {
            let index = (survivor.since_ns - since_ns) / width;
            generations[usize::try_from(index).unwrap_or(GENERATIONS).min(GENERATIONS - 1)] +=
                survivor.weight;
        }
        let sum = |of: &[u64]| of.iter().sum::<u64>() as f64;
        let (earlier, later) = generations.split_at(GENERATIONS / 2);
        let most = generations.iter().copied().max().unwrap_or(0) as f64;
        Self {
            filled: generations.iter().filter(|&&survivors| survivors > 0).count(),
            later_half: sum(later) / sum(earlier).max(1.0),
            concentration: most / sum(&generations).max(1.0),
        }
    }

    /// It does not dry up and did not come at once.
    pub(super) fn spreads(&self) -> bool {
        self.later_half >= LATER_HALF && self.concentration <= CONCENTRATION
    }
}
