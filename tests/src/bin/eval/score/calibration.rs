//! Whether things that are said to be sure to 90 % are true nine times of ten.

use crate::whole::count;

const BINS: usize = 10;

/// Claims of one confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bin {
    pub count: f64,
    /// Sum of what was claimed.
    pub claimed: f64,
    /// How many were true.
    pub held: f64,
}

/// Claims in ten classes of confidence, each with a weight.
#[derive(Default)]
pub(crate) struct Calibration {
    pub bins: [Bin; BINS],
    squares: f64,
}

impl Calibration {
    pub(crate) fn of(claims: impl IntoIterator<Item = (f64, bool, f64)>) -> Self {
        let mut calibration = Self::default();
        for (confidence, holds, weight) in claims {
            let truth = f64::from(u8::from(holds));
            let bin = &mut calibration.bins[count(confidence * BINS as f64).min(BINS - 1)];
            bin.count += weight;
            bin.claimed += weight * confidence;
            bin.held += weight * truth;
            calibration.squares += weight * (confidence - truth).powi(2);
        }
        calibration
    }

    pub(crate) fn count(&self) -> f64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    /// Expected calibration error: how far claims are from the truth on average.
    pub(crate) fn error(&self) -> f64 {
        let error: f64 = self.bins.iter().map(|bin| (bin.claimed - bin.held).abs()).sum();
        error / self.count().max(f64::MIN_POSITIVE)
    }

    /// Brier score: mean square of the difference to the truth.
    pub(crate) fn brier(&self) -> f64 {
        self.squares / self.count().max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    #[test]
    fn errors_are_means() {
        let claims = [(0.75, true, 3.0), (0.75, false, 1.0), (1.0, false, 1.0)];
        let calibration = Calibration::of(claims);
        assert!((calibration.error() - 0.2).abs() < 1e-12);
        let brier = (3.0 * 0.0625 + 0.5625 + 1.0) / 5.0;
        assert!((calibration.brier() - brier).abs() < 1e-12);
    }
}
