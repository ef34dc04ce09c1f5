//! What the rules on levels share.

use crate::whole::count;

/// How much a process holds, as a share of its limit.
pub(super) struct Level<'a> {
    values: &'a [f64],
    tick: f64,
}

impl<'a> Level<'a> {
    pub(super) fn new(values: &'a [f64], tick: f64) -> Self {
        Self { values, tick }
    }

    /// Each value with the time at which it was read.
    pub(super) fn readings(&self) -> impl Iterator<Item = (f64, f64)> {
        (1..)
            .zip(self.values)
            .map(|(tick, &value)| (f64::from(tick) * self.tick, value))
    }

    /// Means over so many seconds.
    pub(super) fn means(&self, seconds: f64) -> Vec<f64> {
        let mean = |chunk: &mut Vec<f64>| chunk.iter().sum::<f64>() / chunk.len() as f64;
        self.chunks(seconds, mean)
    }

    /// Medians over so many seconds.
    pub(super) fn medians(&self, seconds: f64) -> Vec<f64> {
        self.chunks(seconds, |chunk| {
            chunk.sort_by(f64::total_cmp);
            let (low, high) = (chunk[(chunk.len() - 1) / 2], chunk[chunk.len() / 2]);
            f64::midpoint(low, high)
        })
    }

    fn chunks(&self, seconds: f64, value: impl Fn(&mut Vec<f64>) -> f64) -> Vec<f64> {
        let size = count(seconds / self.tick).max(1);
        let chunks = self.values.chunks_exact(size);
        chunks.map(|chunk| value(&mut chunk.to_vec())).collect()
    }
}

/// A straight line through values at equal distances.
pub(super) struct Line {
    /// Per second.
    pub slope: f64,
    /// Its value at the last of them.
    pub end: f64,
    /// Share of the variance that it explains.
    pub r_squared: f64,
}

impl Line {
    pub(super) fn through(values: &[f64], step: f64) -> Self {
        let count = values.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = values.iter().sum::<f64>() / count;
        let (mut both, mut times, mut levels) = (0.0, 0.0, 0.0);
        for (index, value) in values.iter().enumerate() {
            let time = (index as f64 - middle) * step;
            both += time * value;
            times += time * time;
            levels += (value - mean).powi(2);
        }
        let slope = both / times;
        let explained = slope * slope * times;
        Self {
            slope,
            end: mean + slope * middle * step,
            r_squared: if levels > 0.0 { explained / levels } else { 0.0 },
        }
    }
}

/// Index at which it has held for the `times`th time in a row.
pub(super) fn held(values: impl IntoIterator<Item = bool>, times: usize) -> Option<usize> {
    let mut run = 0;
    values.into_iter().position(|holds| {
        run = if holds { run + 1 } else { 0 };
        run >= times
    })
}

/// Mean and standard deviation.
pub(super) fn spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::{Level, Line, held};

    #[test]
    fn a_straight_line_is_found() {
        let values: Vec<f64> = (0..20).map(|index| 3.0 + 0.5 * f64::from(index)).collect();
        let line = Line::through(&values, 10.0);
        assert!((line.slope - 0.05).abs() < 1e-12 && (line.end - 12.5).abs() < 1e-9);
        assert!((line.r_squared - 1.0).abs() < 1e-9);
    }

    #[test]
    fn chunks_and_runs() {
        let level = Level::new(&[1.0, 3.0, 2.0, 9.0, 4.0], 30.0);
        assert_eq!(level.means(60.0), [2.0, 5.5]);
        assert_eq!(level.medians(90.0), [2.0]);
        assert_eq!(held([true, false, true, true], 2), Some(3));
        assert_eq!(held([true, false, true], 2), None);
    }
}
