//! Does the floor of something keep reaching new highs?
//!
//! A process that works takes and gives back; what it never gives back shows in the minima. Per resource the minima of the
//! last eight 16-second buckets are kept; six new highs among them, and at least a quantum gained in all, make it
//! growing (research: "healthy -> growing" of the floor bank). Growing is a fact, not a verdict: caches grow too.

use std::collections::HashMap;

use crate::{
    aggregate::{Process, window::Amounts},
    model::{identity::ProcessId, snapshot::State},
};

const BUCKET_NS: u64 = 16_000_000_000;
const BUCKETS: usize = 8;
const NEW_HIGHS: usize = 6;

/// What has to be gained over the buckets to matter: 16 MiB, 64 descriptors, 8 threads.
const QUANTUM: Amounts = Amounts {
    memory: 16 << 20,
    fds: 64,
    threads: 8,
};

/// The floor detector: state per process, bounded by the number of processes.
#[derive(Debug, Default)]
pub struct Growth {
    floors: HashMap<ProcessId, Floors>,
    pass: u64,
}

#[derive(Clone, Debug, Default)]
struct Floors {
    /// Number of the bucket that is being filled.
    bucket: u64,
    running: Option<Amounts>,
    /// Minima of full buckets, oldest first.
    minima: Vec<Amounts>,
    /// The pass that saw the process last.
    pass: u64,
}

impl Growth {
    /// Takes one tick into account; processes that are not among these are forgotten.
    pub fn update<'a>(&mut self, monotonic_ns: u64, processes: impl Iterator<Item = &'a Process>) {
        self.pass += 1;
        for process in processes {
            let floors = self.floors.entry(process.id).or_default();
            floors.pass = self.pass;
            floors.add(monotonic_ns / BUCKET_NS, process.amounts());
        }
        self.floors.retain(|_, floors| floors.pass == self.pass);
    }

    /// Where a process stands by its floors.
    pub fn state(&self, id: &ProcessId) -> State {
        let Some(floors) = self.floors.get(id).filter(|floors| floors.minima.len() >= 2) else {
            return State::Observing;
        };
        let grows = [Amounts::memory, Amounts::fds, Amounts::threads]
            .into_iter()
            .any(|of| rises(&floors.minima, of, of(&QUANTUM)));
        if grows { State::Growing } else { State::Healthy }
    }
}

impl Floors {
    fn add(&mut self, bucket: u64, amounts: Amounts) {
        if bucket != self.bucket {
            self.bucket = bucket;
            if let Some(minimum) = self.running.take() {
                if self.minima.len() == BUCKETS {
                    self.minima.remove(0);
                }
                self.minima.push(minimum);
            }
        }
        let running = self.running.get_or_insert(amounts);
        running.memory = running.memory.min(amounts.memory);
        running.fds = running.fds.min(amounts.fds);
        running.threads = running.threads.min(amounts.threads);
    }
}

fn rises(minima: &[Amounts], of: fn(&Amounts) -> u64, quantum: u64) -> bool {
    let (Some(first), Some(last)) = (minima.first(), minima.last()) else {
        return false;
    };
    let mut highest = of(first);
    let mut new_highs = 0;
    for minimum in &minima[1..] {
        if of(minimum) > highest {
            highest = of(minimum);
            new_highs += 1;
        }
    }
    new_highs >= NEW_HIGHS && of(last).saturating_sub(of(first)) >= quantum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state after ten minutes of one reading a second.
    fn verdict(fds: impl Fn(u64) -> u64) -> bool {
        let mut floors = Floors::default();
        for second in 0..600 {
            let amounts = Amounts {
                memory: 0,
                fds: fds(second),
                threads: 1,
            };
            floors.add(second * 1_000_000_000 / BUCKET_NS, amounts);
        }
        rises(&floors.minima, Amounts::fds, Amounts::fds(&QUANTUM))
    }

    #[test]
    fn a_steady_climb_is_growth() {
        assert!(verdict(|second| 100 + second));
    }

    #[test]
    fn a_climb_under_churn_is_growth() {
        assert!(verdict(|second| 100 + second + 300 * (second % 2)));
    }

    #[test]
    fn a_saw_tooth_is_not() {
        assert!(!verdict(|second| 100 + second % 60 * 20));
    }

    #[test]
    fn a_step_is_not() {
        assert!(!verdict(|second| if second < 540 { 100 } else { 5_000 }));
    }

    #[test]
    fn a_climb_below_the_quantum_is_not() {
        assert!(!verdict(|second| 100 + second / 20));
    }
}
