//! How frequent leaks are. A probability is right or wrong for one share of leaks; leakwatch's are for one in a thousand.

use leakwatch::detect::weights;

use super::Judged;

/// Another share of leaks than the one that leakwatch takes for granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseRate {
    /// How much likelier a leak is, as a logarithm.
    likelier: f64,
}

/// That of these cases.
pub(crate) fn share_of_leaks(judged: &[Judged]) -> BaseRate {
    let leaky = judged.iter().filter(|judged| judged.is_leaky()).count() as f64;
    BaseRate::of(leaky, judged.len() as f64 - leaky)
}

impl BaseRate {
    fn of(leaky: f64, healthy: f64) -> Self {
        let prior = weights().find(|&(name, _)| name == "prior");
        let odds = leaky.max(0.5) / healthy.max(0.5);
        Self {
            likelier: odds.ln() - prior.map_or(0.0, |(_, weight)| weight),
        }
    }

    /// How probable a leak is here, of which leakwatch says so much.
    pub(crate) fn probability(self, log_odds: f64) -> f64 {
        1.0 / (1.0 + (-log_odds - self.likelier).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::BaseRate;

    #[test]
    fn without_evidence_a_leak_is_as_probable_as_leaks_are_frequent() {
        assert!((BaseRate::of(1.0, 3.0).probability(-6.9) - 0.25).abs() < 1e-9);
        assert!((BaseRate::of(1.0, 999.0).probability(0.0) - 0.5).abs() < 1e-2);
    }
}
