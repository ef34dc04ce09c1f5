//! What chance decides, repeatable: the same seed, family and number draw the same case on every machine.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, Poisson, StandardNormal};

use crate::whole::count;

/// A stream of random numbers of one case.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of the `number`th case of a family. A leaky case and its healthy twin share one.
    pub(crate) fn new(seed: u64, family: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(family << 32 | number);
        Self(rng)
    }

    /// From `low` up to `high`, all alike.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// From `low` up to `high`, all orders of magnitude alike.
    pub(crate) fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        self.uniform(low.ln(), high.ln()).exp()
    }

    /// The same for a count.
    pub(crate) fn log_count(&mut self, low: f64, high: f64) -> usize {
        count(self.log_uniform(low, high))
    }

    /// 0 up to `bound`, which is left out.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// True so often.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// Around 0.
    pub(crate) fn normal(&mut self, deviation: f64) -> f64 {
        let drawn: f64 = StandardNormal.sample(&mut self.0);
        deviation * drawn
    }

    /// Time to the next of what comes at random, once in `mean`.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        let drawn: f64 = Exp1.sample(&mut self.0);
        mean * drawn
    }

    /// At least `least`, with a tail of this index.
    pub(crate) fn pareto(&mut self, least: f64, index: f64) -> f64 {
        least * (1.0 - self.0.random::<f64>()).powf(-1.0 / index)
    }

    /// How many come where `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(&mut self.0))
    }

    /// Times of arrivals at `rate` per second, ascending.
    pub(crate) fn arrivals(&mut self, rate: f64, from: f64, to: f64) -> Vec<f64> {
        let mut times = Vec::with_capacity(count(rate * (to - from)));
        let mut at = from + self.exponential(1.0 / rate);
        while at < to {
            times.push(at);
            at += self.exponential(1.0 / rate);
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn arrivals_come_at_their_rate_and_repeat() {
        let times = Draw::new(1, 2, 3).arrivals(5.0, 100.0, 1_100.0);
        assert!((4_500..5_500).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && times.iter().all(|time| (100.0..1_100.0).contains(time)));
        assert_eq!(times, Draw::new(1, 2, 3).arrivals(5.0, 100.0, 1_100.0));
        assert_ne!(times, Draw::new(1, 2, 4).arrivals(5.0, 100.0, 1_100.0));
    }
}
