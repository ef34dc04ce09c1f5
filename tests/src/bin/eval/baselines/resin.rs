//! RESIN's second tier as far as it is published and one process goes: half hours beside the process's own first ones, mean and
//! three deviations and 2 % of the limit, 3 hours in a row. Its first tier needs a fleet.

use super::series::{Level, held, spread};

const STEP: f64 = 1_800.0;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(STEP);
    if means.len() < 8 {
        return None;
    }
    let (mean, deviation) = spread(&means[1..6]);
    let high = means[6..].iter().map(|now| *now > mean + 3.0 * deviation + 0.02);
    held(high, 6).map(|step| (step + 7) as f64 * STEP)
}
