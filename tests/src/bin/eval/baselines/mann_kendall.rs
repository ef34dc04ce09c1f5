//! The Mann-Kendall test of one hour, by the minute, as if readings were independent.

use super::series::{Level, held};

const WINDOW: usize = 60;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(60.0);
    let count = WINDOW as f64;
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    let rises = means
        .windows(WINDOW)
        .step_by(5)
        .map(|hour| sign_sum(hour) / deviation > 2.58);
    held(rises, 1).map(|step| (step * 5 + WINDOW) as f64 * 60.0)
}

fn sign_sum(values: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (index, before) in values.iter().enumerate() {
        for after in &values[index + 1..] {
            sum += f64::from(i8::from(after > before) - i8::from(after < before));
        }
    }
    sum
}
