//! Precog, which is linear regression over windows that grow backwards: medians of 5 minutes, at least 6 hours, R² above
//! 0.88, the limit within 7 days, at least 40 % of it used.

use super::series::{Level, Line};

const STEP: f64 = 300.0;
const SHORTEST: usize = 72;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let medians = level.medians(STEP);
    let mut ends = (SHORTEST..=medians.len()).step_by(3);
    ends.find(|&end| leaks(&medians[..end]))
        .map(|end| end as f64 * STEP)
}

fn leaks(medians: &[f64]) -> bool {
    let count = medians.len();
    let now = medians[count - 1];
    if now < 0.4 {
        return false;
    }
    let step = ((count - SHORTEST) / 20 + 1).max(3);
    let mut windows = (SHORTEST..=count).rev().step_by(step);
    let straight = windows.find_map(|window| {
        let line = Line::through(&medians[count - window..], STEP);
        (line.r_squared > 0.88).then_some(line)
    });
    straight.is_some_and(|line| line.slope > 0.0 && (1.0 - now) / line.slope < 7.0 * 86_400.0)
}
