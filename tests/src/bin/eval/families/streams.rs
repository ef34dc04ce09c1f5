//! Call sites that give back what they take, sooner or later.

use super::{
    Make,
    things::{BUSY, END, alike, any, healthy, in_waves, items},
};
use crate::{
    case::{Case, Use},
    draw::Draw,
};

pub(super) const ALL: [(&str, Make); 5] = [
    ("requests, exponential", exponential),
    ("requests, Pareto", pareto),
    ("requests, diurnal", diurnal),
    ("batch, accumulate and release", batch),
    ("start-up burst", start_up),
];

fn exponential(draw: &mut Draw, number: u64, _: bool) -> Case {
    let rate = draw.log_uniform(0.5, 20.0);
    let (births, mean) = (draw.arrivals(rate, 0.0, END), draw.log_uniform(0.05, 30.0));
    let items = items(draw, &births, BUSY, |draw, _| draw.exponential(mean));
    healthy(draw, any(number), items, 3_600.0)
}

fn pareto(draw: &mut Draw, number: u64, _: bool) -> Case {
    let rate = draw.log_uniform(0.5, 10.0);
    let births = draw.arrivals(rate, 0.0, END);
    let (least, index) = (draw.log_uniform(0.1, 3.0), draw.uniform(1.1, 1.8));
    let items = items(draw, &births, BUSY, |draw, _| draw.pareto(least, index));
    healthy(draw, any(number), items, 3_600.0)
}

fn diurnal(draw: &mut Draw, number: u64, _: bool) -> Case {
    let (rate, period) = (draw.log_uniform(1.0, 20.0), draw.log_uniform(600.0, 7_200.0));
    let births = draw.arrivals(rate, 0.0, END);
    let births = in_waves(draw, births, period);
    let mean = draw.log_uniform(1.0, 60.0);
    let items = items(draw, &births, BUSY, |draw, _| draw.exponential(mean));
    healthy(draw, any(number), items, 3_600.0)
}

fn batch(draw: &mut Draw, number: u64, _: bool) -> Case {
    let rate = draw.log_uniform(0.5, 10.0);
    let (births, period) = (draw.arrivals(rate, 0.0, END), draw.log_uniform(20.0, 1_200.0));
    let at = |index: usize| births.get(index).copied().unwrap_or(0.0);
    // Nothing is used before the end: the worst case, which nothing tells from a leak until the first release.
    let items = items(draw, &births, Use::Never, |_, index| {
        ((at(index) / period).floor() + 1.0) * period - at(index)
    });
    healthy(draw, any(number), items, 0.0)
}

fn start_up(draw: &mut Draw, number: u64, _: bool) -> Case {
    let (mean, count) = (draw.log_uniform(1.0, 30.0), draw.log_count(20.0, 500.0));
    let mut births: Vec<f64> = (0..count).map(|_| draw.exponential(mean)).collect();
    births.sort_by(f64::total_cmp);
    let used = if draw.chance(0.5) {
        Use::Never
    } else {
        alike(draw, 1.0, 600.0)
    };
    let items = items(draw, &births, used, |_, _| f64::INFINITY);
    healthy(draw, any(number), items, 0.0)
}
