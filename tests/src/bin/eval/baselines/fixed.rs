//! More than 80 % of the limit for 5 minutes.

use super::series::{Level, held};

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let full = level.means(60.0).into_iter().map(|mean| mean > 0.8);
    held(full, 5).map(|minute| (minute + 1) as f64 * 60.0)
}
