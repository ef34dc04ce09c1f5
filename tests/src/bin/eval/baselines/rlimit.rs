//! The count is above 80 % of its limit.

use super::series::Level;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    level.readings().find(|&(_, share)| share > 0.8).map(|(at, _)| at)
}
