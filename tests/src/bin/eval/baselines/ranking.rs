//! Chromium's leak detector on the clock of one analysis a minute: 4 analyses in a row in which a call site holds more, and at
//! least 16 things.

use super::series::held;
use crate::{
    case::{Item, live},
    whole,
};

const STEP: f64 = 60.0;
const MANY: i64 = 16;

pub(super) fn first_alarm(items: &[Item], seconds: f64) -> Option<f64> {
    let held_at = live(items, STEP, whole::count(seconds / STEP));
    let mut run = 0;
    let mut before = 0;
    let suspects = held_at.into_iter().map(|count| {
        run = if count > before { run + 1 } else { 0 };
        before = count;
        run >= 4 && count >= MANY
    });
    held(suspects, 1).map(|step| (step + 1) as f64 * STEP)
}
