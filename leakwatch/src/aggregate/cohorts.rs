//! When one site took things: births by time, in bounded memory.

/// Cohorts kept; when there are more, neighbours are merged and all are twice as wide from then on.
pub const MAX_COHORTS: usize = 64;
/// Width of the first cohorts.
const WIDTH_NS: u64 = 1_000_000_000;

/// Births within one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// When it begins, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Samples.
    pub samples: u32,
    /// Births that they stand for.
    pub born: u64,
}

/// Births by time, the whole life of a site.
#[derive(Clone, Debug, Default)]
pub struct Cohorts {
    cohorts: Vec<Cohort>,
    /// Cohorts are `WIDTH_NS << doublings` wide.
    doublings: u32,
}

impl Cohorts {
    /// Adds a sample that stands for `weight` births. What comes late counts to the newest.
    pub fn add(&mut self, now_ns: u64, weight: u64) {
        let since_ns = self.begin(now_ns);
        match self.cohorts.last_mut() {
            Some(last) if last.since_ns >= since_ns => {
                last.samples = last.samples.saturating_add(1);
                last.born += weight;
            }
            _ => self.cohorts.push(Cohort {
                since_ns,
                samples: 1,
                born: weight,
            }),
        }
        while self.cohorts.len() > MAX_COHORTS {
            self.widen();
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Cohort> {
        self.cohorts.iter().copied()
    }

    /// When the first was born.
    pub fn began_ns(&self) -> Option<u64> {
        self.cohorts.first().map(|cohort| cohort.since_ns)
    }

    fn begin(&self, now_ns: u64) -> u64 {
        let width = WIDTH_NS << self.doublings;
        now_ns - now_ns % width
    }

    fn widen(&mut self) {
        self.doublings += 1;
        let mut merged: Vec<Cohort> = Vec::with_capacity(MAX_COHORTS);
        for cohort in std::mem::take(&mut self.cohorts) {
            let since_ns = self.begin(cohort.since_ns);
            match merged.last_mut() {
                Some(last) if last.since_ns == since_ns => {
                    last.samples = last.samples.saturating_add(cohort.samples);
                    last.born += cohort.born;
                }
                _ => merged.push(Cohort { since_ns, ..cohort }),
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
        fn no_birth_is_lost_and_memory_is_bounded(births in prop::collection::vec((0_u64..1 << 44, 1_u64..100), 1..500)) {
            let mut times: Vec<u64> = births.iter().map(|(time, _)| *time).collect();
            times.sort_unstable();
            let mut cohorts = Cohorts::default();
            for (time, (_, weight)) in times.iter().zip(&births) {
                cohorts.add(*time, *weight);
            }
            let kept: Vec<Cohort> = cohorts.iter().collect();
            assert!(kept.len() <= MAX_COHORTS);
            assert!(kept.is_sorted_by(|a, b| a.since_ns < b.since_ns));
            let born: u64 = births.iter().map(|(_, weight)| weight).sum();
            assert_eq!(kept.iter().map(|cohort| cohort.born).sum::<u64>(), born);
            assert_eq!(kept.iter().map(|cohort| cohort.samples as usize).sum::<usize>(), births.len());
        }
    }
}
