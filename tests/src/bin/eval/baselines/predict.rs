//! Prometheus: `predict_linear(used[1h], 4 * 3600) > limit`, `for: 10m`.

use super::series::{Level, Line, held};

pub(super) fn first_alarm(level: &Level) -> Option<f64> {
    let means = level.means(60.0);
    let ends = means.windows(60).map(|hour| {
        let line = Line::through(hour, 60.0);
        line.end + line.slope * 14_400.0 > 1.0
    });
    held(ends, 10).map(|minute| (minute + 60) as f64 * 60.0)
}
