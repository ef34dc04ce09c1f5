//! The sequential test: do old things still die as often as those of healthy programs do at least?

use super::group::Group;
use crate::aggregate::lifetimes::BUCKETS;

/// The hazard of the null is one in so many ages.
const HAZARD: f64 = 3.0;
/// What a survivor counts, given an alternative whose hazard is 20 times smaller; and what a late death takes away, ln 20.
const GAIN: f64 = 0.95;
const LOSS: f64 = 3.0;
/// The least age beyond which a death is late is `2^22` us, four seconds.
pub(super) const FIRST_POWER: usize = 22;
const POWERS: usize = BUCKETS - FIRST_POWER;

/// The test of one stack, or of all of a kind together.
#[derive(Clone, Debug)]
pub(super) struct Test {
    looked_ns: u64,
    /// `W` by power of two of the late age.
    evidence: [f64; POWERS],
    /// Late deaths counted.
    deaths: [u32; POWERS],
}

impl Test {
    pub(super) fn new() -> Self {
        Self {
            looked_ns: 0,
            evidence: [0.0; POWERS],
            deaths: [0; POWERS],
        }
    }

    /// Counts who lived and who died since the last look.
    pub(super) fn update(&mut self, group: &Group<'_>) {
        // By power of two of the age: how much the logarithm of the ages grew there since the last look.
        let mut exposed = [0.0_f64; POWERS + 1];
        for survivor in group.survivors {
            let age = micros(group.now_ns.saturating_sub(survivor.since_ns));
            let before = micros(self.looked_ns.saturating_sub(survivor.since_ns)) as f64;
            let mut top = age as f64;
            for power in (0..=age.ilog2() as usize).rev() {
                let Some(slot) = power.checked_sub(FIRST_POWER) else {
                    break;
                };
                let from = ((1_u64 << power) as f64).max(before);
                exposed[slot.min(POWERS)] += (top / from).ln();
                if before >= (1_u64 << power) as f64 {
                    break;
                }
                top = from;
            }
        }
        let mut expected = exposed[POWERS];
        for slot in (0..POWERS).rev() {
            expected += exposed[slot];
            let deaths = group.late_deaths(slot);
            let new = f64::from(deaths.saturating_sub(self.deaths[slot]));
            let evidence = self.evidence[slot] + GAIN * expected / HAZARD - LOSS * new;
            self.evidence[slot] = evidence.max(0.0);
            self.deaths[slot] = deaths;
        }
        self.looked_ns = group.now_ns;
    }

    /// Neither who lived nor who died since the last look is counted.
    pub(super) fn skip(&mut self, group: &Group<'_>) {
        for (slot, deaths) in self.deaths.iter_mut().enumerate() {
            *deaths = group.late_deaths(slot);
        }
        self.looked_ns = group.now_ns;
    }

    /// Logarithm of the evidence that what is older than `2^power` us does not die.
    pub(super) fn evidence(&self, power: usize) -> f64 {
        let slot = power.saturating_sub(FIRST_POWER).min(POWERS - 1);
        self.evidence[slot]
    }
}

fn micros(ns: u64) -> u64 {
    (ns / 1_000).max(1)
}
