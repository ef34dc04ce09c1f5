//! Coroot's rule for memory, on one hour of points 15 s apart: since the last fall by half it grows by more than 10 % and by
//! more than 5 % of the limit an hour, its last quarter not much slower, for 15 minutes.

use super::series::{Level, Line, held};

const HOUR: usize = 240;

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(15.0);
    let grows = means.windows(HOUR).step_by(4).map(grows);
    held(grows, 15).map(|step| (step * 4 + HOUR) as f64 * 15.0)
}

fn grows(hour: &[f64]) -> bool {
    let parts = hour.chunk_by(|before, after| *after >= before * 0.5);
    let Some(longest) = parts
        .max_by_key(|part| part.len())
        .filter(|part| part.len() >= 80)
    else {
        return false;
    };
    let whole = Line::through(longest, 15.0);
    let tail = &longest[longest.len() - (longest.len() / 4).max(61)..];
    let tail = Line::through(tail, 15.0);
    let an_hour = whole.slope * 3_600.0;
    whole.slope > 0.0
        && tail.slope > 0.0
        && tail.slope >= 0.3 * whole.slope
        && an_hour >= 0.05
        && an_hour > 0.1 * (whole.end - an_hour).max(1e-9)
}
