//! 10 % more than 30 minutes ago, for 5 minutes.

use super::series::{Level, held};

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(60.0);
    let grown = means
        .iter()
        .zip(means.get(30..)?)
        .map(|(before, now)| *now > before * 1.1);
    held(grown, 5).map(|minute| (minute + 31) as f64 * 60.0)
}
