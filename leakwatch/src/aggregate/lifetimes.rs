//! How long things from one site live: a histogram by powers of two.

/// Lifetimes of what was given back, sampled. Bucket `n` holds lifetimes from `2^n` microseconds up to twice that; the last
/// one everything from three days.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    buckets: [u32; BUCKETS],
    sum_ns: u64,
    count: u64,
}

/// Powers of two that lifetimes are told apart by.
pub const BUCKETS: usize = 38;

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            sum_ns: 0,
            count: 0,
        }
    }
}

impl Lifetimes {
    /// Adds one.
    pub fn add(&mut self, lifetime_ns: u64) {
        self.sum_ns = self.sum_ns.saturating_add(lifetime_ns);
        self.count += 1;
        let micros = (lifetime_ns / 1_000).max(1);
        let bucket = (micros.ilog2() as usize).min(BUCKETS - 1);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many lived for `2^power` microseconds and more.
    pub fn at_least(&self, power: usize) -> u64 {
        let from = power.min(BUCKETS - 1);
        self.buckets[from..].iter().map(|&count| u64::from(count)).sum()
    }

    /// Adds those of another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.count += other.count;
        for (bucket, added) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket = bucket.saturating_add(added);
        }
    }

    /// Their mean, nanoseconds; `None` without samples.
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.count)
    }

    /// Upper bound of the lifetime that `share` (0 to 1) of the sampled ones do not exceed, nanoseconds; `None` without
    /// samples.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        let total: u64 = self.buckets.iter().map(|&count| u64::from(count)).sum();
        let mut below = 0;
        self.buckets.iter().enumerate().find_map(|(bucket, &count)| {
            below += u64::from(count);
            (count > 0 && below as f64 >= share * total as f64).then(|| (2_u64 << bucket) * 1_000)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_bound_their_share() {
        let mut lifetimes = Lifetimes::default();
        assert_eq!(lifetimes.quantile_ns(0.5), None);
        for millis in 1..=100_u64 {
            lifetimes.add(millis * 1_000_000);
        }
        let median = lifetimes.quantile_ns(0.5).unwrap();
        assert!((50_000_000..=131_072_000).contains(&median), "{median}");
        assert_eq!(lifetimes.at_least(16), 35, "from 66 ms");
        lifetimes.add(u64::MAX);
        assert!(lifetimes.quantile_ns(1.0).unwrap() > 100_000_000_000_000);
    }
}
