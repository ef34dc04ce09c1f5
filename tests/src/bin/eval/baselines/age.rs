//! BCC's memleak and memleax: at least 10 things of one call site older than 10 s.

use crate::case::{Item, live};
use crate::whole::count;

const STEP: f64 = 10.0;
const OLD: f64 = 10.0;
const MANY: i64 = 10;

pub(super) fn first_alarm(items: &[Item], seconds: f64) -> Option<f64> {
    let old: Vec<Item> = items
        .iter()
        .filter(|item| item.died - item.born > OLD)
        .map(|item| Item {
            born: item.born + OLD,
            ..*item
        })
        .collect();
    let held = live(&old, STEP, count(seconds / STEP));
    let step = held.iter().position(|&held| held >= MANY)?;
    Some((step + 1) as f64 * STEP)
}
