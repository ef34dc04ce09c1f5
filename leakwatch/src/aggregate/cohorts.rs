//! When one site took things: samples by time of birth, in bounded memory.

/// Cohorts kept; when there are more, neighbours are merged and all are twice as wide from then on.
pub const MAX_COHORTS: usize = 64;

const SECOND_NS: u64 = 1_000_000_000;

/// Samples born within one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// When it begins, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// How many.
    pub samples: u32,
}

/// The whole life of a site, at most 512 bytes.
#[derive(Clone, Debug, Default)]
pub struct Cohorts {
    /// Second and samples, oldest first.
    cohorts: Vec<(u32, u32)>,
    /// Cohorts are `2^doublings` seconds wide.
    doublings: u8,
}

impl Cohorts {
    /// Adds a sample. What comes late counts to the newest.
    pub fn add(&mut self, now_ns: u64) {
        let second = self.begin(u32::try_from(now_ns / SECOND_NS).unwrap_or(u32::MAX));
        match self.cohorts.last_mut() {
            Some((since, samples)) if *since >= second => *samples = samples.saturating_add(1),
            _ => self.cohorts.push((second, 1)),
        }
        while self.cohorts.len() > MAX_COHORTS {
            self.widen();
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Cohort> {
        self.cohorts.iter().map(|&(second, samples)| Cohort {
            since_ns: u64::from(second) * SECOND_NS,
            samples,
        })
    }

    /// When the first was born.
    pub fn began_ns(&self) -> Option<u64> {
        self.iter().next().map(|cohort| cohort.since_ns)
    }

    fn begin(&self, second: u32) -> u32 {
        second >> self.doublings << self.doublings
    }

    fn widen(&mut self) {
        self.doublings += 1;
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(MAX_COHORTS);
        for (second, samples) in std::mem::take(&mut self.cohorts) {
            let second = self.begin(second);
            match merged.last_mut() {
                Some((since, before)) if *since == second => *before = before.saturating_add(samples),
                _ => merged.push((second, samples)),
            }
        }
        self.cohorts = merged;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, proptest};

    use super::*;

    proptest! {
        #[test]
        fn no_birth_is_lost_and_memory_is_bounded(mut births in prop::collection::vec(0_u64..1 << 60, 1..500)) {
            births.sort_unstable();
            let mut cohorts = Cohorts::default();
            for &birth in &births {
                cohorts.add(birth);
            }
            let kept: Vec<Cohort> = cohorts.iter().collect();
            assert!(kept.len() <= MAX_COHORTS);
            assert!(kept.is_sorted_by(|a, b| a.since_ns < b.since_ns));
            assert!(cohorts.began_ns().is_some_and(|began_ns| began_ns <= births[0]));
            assert_eq!(kept.iter().map(|cohort| cohort.samples as usize).sum::<usize>(), births.len());
        }
    }
}
