//! What was allocated while it was looked, and what of it stayed.
//!
//! Age, not size, tells a leak from a busy program: what is freed is mostly freed soon, so whatever is older than half of the
//! observation is suspected, and the places that keep the most of it come first.

use std::collections::HashMap;

use leakwatch_common::allocation::LiveAllocation;

use crate::model::stack::StackId;

/// Stacks kept; births from further ones are added to the stack without frames.
const MAX_STACKS: usize = 4096;

/// Sampled births, by sample and by stack.
#[derive(Debug, Default)]
pub struct Births {
    stacks: HashMap<u32, StackId>,
    born: HashMap<StackId, Born>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Born {
    samples: u64,
    bytes: u64,
}

/// When was looked, nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// From.
    pub began_ns: u64,
    /// To.
    pub ended_ns: u64,
}

/// One place that allocates. All but `samples` and ages are estimates for all allocations.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivors {
    /// From where.
    pub stack: StackId,
    /// Followed allocations that were made here.
    pub samples: u64,
    /// Allocations made here.
    pub born: f64,
    /// Bytes of them.
    pub born_bytes: f64,
    /// Those not freed.
    pub live: f64,
    /// Bytes of them.
    pub live_bytes: f64,
    /// Followed allocations that are not freed and older than half of the observation.
    pub old_samples: u64,
    /// How many allocations those stand for.
    pub old: f64,
    /// Bytes of them.
    pub old_bytes: f64,
    /// Mean age of what is not freed, nanoseconds; 0 when everything is.
    pub mean_age_ns: u64,
    /// Age of the oldest, nanoseconds.
    pub oldest_ns: u64,
}

impl Births {
    /// A followed allocation of `bytes` was made at `stack`.
    pub fn add(&mut self, sample: u32, stack: StackId, bytes: u64) {
        let known = self.born.contains_key(&stack) || self.born.len() < MAX_STACKS;
        let stack = if known { stack } else { StackId::NONE };
        self.stacks.insert(sample, stack);
        let born = self.born.entry(stack).or_default();
        born.samples += 1;
        born.bytes = born.bytes.saturating_add(bytes);
    }

    /// Whether an allocation was made at this stack.
    pub fn knows(&self, stack: StackId) -> bool {
        self.born.contains_key(&stack)
    }

    /// Followed allocations that were made.
    pub fn samples(&self) -> u64 {
        self.stacks.len() as u64
    }

    /// Every place, those that keep most old bytes first, and then those that allocate most. One followed allocation stands for
    /// `weight` of them.
    pub fn survivors(
        &self,
        live: &[LiveAllocation],
        weight: f64,
        observation: Observation,
    ) -> Vec<Survivors> {
        let half = observation.ended_ns.saturating_sub(observation.began_ns) / 2;
        let mut places: HashMap<StackId, Survivors> = HashMap::new();
        for (&stack, born) in &self.born {
            let place = places.entry(stack).or_insert_with(|| Survivors::none(stack));
            place.samples = born.samples;
            place.born = born.samples as f64 * weight;
            place.born_bytes = born.bytes as f64 * weight;
        }
        let mut ages: HashMap<StackId, u128> = HashMap::new();
        let mut counts: HashMap<StackId, u64> = HashMap::new();
        for allocation in live {
            // One whose stack got lost on the way is known to live, but not from where.
            let Some(&stack) = self.stacks.get(&allocation.sample) else {
                continue;
            };
            let Some(place) = places.get_mut(&stack) else {
                continue;
            };
            let age = observation.ended_ns.saturating_sub(allocation.birth_ns);
            let bytes = allocation.bytes as f64 * weight;
            place.live += weight;
            place.live_bytes += bytes;
            place.oldest_ns = place.oldest_ns.max(age);
            *ages.entry(stack).or_default() += u128::from(age);
            *counts.entry(stack).or_default() += 1;
            if age > half {
                place.old_samples += 1;
                place.old += weight;
                place.old_bytes += bytes;
            }
        }
        for (stack, sum) in ages {
            if let (Some(place), Some(&count)) = (places.get_mut(&stack), counts.get(&stack)) {
                place.mean_age_ns = u64::try_from(sum / u128::from(count)).unwrap_or(u64::MAX);
            }
        }
        let mut places: Vec<Survivors> = places.into_values().collect();
        places.sort_by(|a, b| {
            b.old_bytes
                .total_cmp(&a.old_bytes)
                .then(b.born.total_cmp(&a.born))
                .then(a.stack.cmp(&b.stack))
        });
        places
    }
}

impl Survivors {
    fn none(stack: StackId) -> Self {
        Self {
            stack,
            samples: 0,
            born: 0.0,
            born_bytes: 0.0,
            live: 0.0,
            live_bytes: 0.0,
            old_samples: 0,
            old: 0.0,
            old_bytes: 0.0,
            mean_age_ns: 0,
            oldest_ns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKED: Observation = Observation {
        began_ns: 1_000,
        ended_ns: 2_000,
    };

    fn live(sample: u32, bytes: u64, birth_ns: u64) -> LiveAllocation {
        LiveAllocation {
            bytes,
            birth_ns,
            sample,
            reserved: 0,
        }
    }

    /// A place that makes ten and keeps none, one that keeps its two, one that keeps a large young one.
    fn births() -> Births {
        let mut births = Births::default();
        for sample in 0..10 {
            births.add(sample, StackId(1), 4_096);
        }
        births.add(10, StackId(2), 100);
        births.add(11, StackId(2), 100);
        births.add(12, StackId(3), 1 << 20);
        births
    }

    #[test]
    fn old_bytes_come_before_large_and_busy_ones() {
        let kept = [
            live(10, 100, 1_100),
            live(11, 100, 1_700),
            live(12, 1 << 20, 1_900),
        ];
        let places = births().survivors(&kept, 64.0, LOOKED);
        let order: Vec<u32> = places.iter().map(|place| place.stack.0).collect();
        assert_eq!(order, [2, 1, 3]);
        let leak = &places[0];
        assert_eq!((leak.samples, leak.old_samples), (2, 1));
        assert_eq!((leak.live, leak.live_bytes), (128.0, 12_800.0));
        assert_eq!((leak.old, leak.old_bytes), (64.0, 6_400.0));
        assert_eq!((leak.oldest_ns, leak.mean_age_ns), (900, 600));
        let churn = &places[1];
        assert_eq!((churn.born, churn.live, churn.oldest_ns), (640.0, 0.0, 0));
        assert_eq!((places[2].old_bytes, places[2].live), (0.0, 64.0));
    }

    #[test]
    fn live_ones_of_unknown_stacks_are_nobodys() {
        let places = births().survivors(&[live(99, 8, 1_000)], 1.0, LOOKED);
        assert!(places.iter().all(|place| place.live == 0.0));
    }

    #[test]
    fn stacks_beyond_the_limit_are_one() {
        let mut births = Births::default();
        for sample in 0..10_000 {
            births.add(sample, StackId(sample + 1), 1);
        }
        let places = births.survivors(&[], 1.0, LOOKED);
        assert_eq!(places.len(), MAX_STACKS + 1);
        assert_eq!(places.iter().map(|place| place.samples).sum::<u64>(), 10_000);
    }
}
