//! Page-Hinkley on minutes, with the first half hour as its reference.

use super::series::{Level, spread};

const REFERENCE: usize = 30;
const THRESHOLD: f64 = 50.0;
const SLACK: f64 = 0.5;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(60.0);
    if means.len() < REFERENCE + 10 {
        return None;
    }
    let (mean, deviation) = spread(&means[..REFERENCE]);
    let deviation = deviation + 1e-6;
    let mut sum = 0.0_f64;
    let crossed = means[REFERENCE..].iter().position(|now| {
        sum = (sum + (now - mean) / deviation - SLACK).max(0.0);
        sum > THRESHOLD
    });
    crossed.map(|minute| (minute + REFERENCE + 1) as f64 * 60.0)
}
