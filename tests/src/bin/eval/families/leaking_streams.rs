//! Call sites that lose what they take: all of it, or what goes wrong, always or from some time on.

use super::{
    Make,
    things::{BUSY, END, any, in_waves, items, leaky},
};
use crate::{
    case::{Case, Item},
    draw::Draw,
};

pub(super) const ALL: [(&str, Make); 10] = [
    ("always leak", always),
    ("error path, 0.2-20 %", error_path),
    ("onset mid-life", onset),
    ("slow, 1/min and less", slow),
    ("bursts of errors", bursts),
    ("leak under diurnal load", under_waves),
    ("leak and pool", and_pool),
    ("accelerating", accelerating),
    ("leak and batch", and_batch),
    ("fast, 10-100/s", fast),
];

fn requests(draw: &mut Draw, births: &[f64]) -> Vec<Item> {
    let mean = draw.log_uniform(0.05, 10.0);
    items(draw, births, BUSY, |draw, _| draw.exponential(mean))
}

fn always(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let rate = draw.log_uniform(0.05, 20.0);
    let births = draw.arrivals(rate, 0.0, END);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |_, _| true)
}

fn error_path(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, share) = (draw.log_uniform(2.0, 20.0), draw.log_uniform(0.002, 0.2));
    let births = draw.arrivals(rate, 0.0, END);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |draw, _| draw.chance(share))
}

fn onset(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, share) = (draw.log_uniform(0.5, 10.0), draw.log_uniform(0.02, 1.0));
    let (births, onset) = (draw.arrivals(rate, 0.0, END), draw.uniform(600.0, 3_600.0));
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, onset, |draw, _| {
        draw.chance(share)
    })
}

fn slow(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let rate = draw.log_uniform(0.01, 0.05);
    let births = draw.arrivals(rate, 0.0, END);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |_, _| true)
}

/// A backend is away for some seconds, again and again; what is asked of it then is lost.
fn bursts(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let rate = draw.log_uniform(2.0, 20.0);
    let births = draw.arrivals(rate, 0.0, END);
    let (pause, length) = (draw.log_uniform(30.0, 600.0), draw.log_uniform(1.0, 10.0));
    let outages = draw.arrivals(1.0 / pause, 0.0, END);
    let items = requests(draw, &births);
    let is_out = |at: f64| {
        let began = outages.partition_point(|&outage| outage <= at);
        began > 0 && at - outages[began - 1] < length
    };
    leaky(draw, any(number), items, leaks, 0.0, |_, item| is_out(item.born))
}

fn under_waves(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, period) = (draw.log_uniform(2.0, 20.0), draw.log_uniform(600.0, 7_200.0));
    let births = draw.arrivals(rate, 0.0, END);
    let births = in_waves(draw, births, period);
    let share = draw.log_uniform(0.01, 0.5);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |draw, _| draw.chance(share))
}

/// The site also keeps some on purpose, up to a cap.
fn and_pool(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, share) = (draw.log_uniform(1.0, 10.0), draw.log_uniform(0.01, 0.3));
    let births = draw.arrivals(rate, 0.0, END);
    let mut items = requests(draw, &births);
    let (cap, kept) = (draw.log_count(8.0, 128.0), draw.log_uniform(0.02, 0.5));
    let used = draw.log_uniform(1.0, 120.0);
    let mut have = 0;
    for item in &mut items {
        if have < cap && draw.chance(kept) {
            have += 1;
            item.died = f64::INFINITY;
            item.used_every = used;
        }
    }
    leaky(draw, any(number), items, leaks, 0.0, |draw, item| {
        draw.chance(share) && item.died.is_finite()
    })
}

fn accelerating(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, share) = (draw.log_uniform(1.0, 10.0), draw.log_uniform(0.05, 1.0));
    let births = draw.arrivals(rate, 0.0, END);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |draw, item| {
        draw.chance(share * (0.1 + 0.9 * item.born / END))
    })
}

/// What is kept until the end of a batch hides what is kept for ever.
fn and_batch(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let (rate, share) = (draw.log_uniform(1.0, 10.0), draw.log_uniform(0.02, 0.5));
    let (births, period) = (draw.arrivals(rate, 0.0, END), draw.log_uniform(20.0, 600.0));
    let mut items = requests(draw, &births);
    for item in &mut items {
        item.died = ((item.born / period).floor() + 1.0) * period;
        item.used_every = f64::INFINITY;
    }
    leaky(draw, any(number), items, leaks, 0.0, |draw, _| draw.chance(share))
}

/// The limit is minutes away.
fn fast(draw: &mut Draw, number: u64, leaks: bool) -> Case {
    let rate = draw.log_uniform(10.0, 100.0);
    let births = draw.arrivals(rate, 0.0, END);
    let items = requests(draw, &births);
    leaky(draw, any(number), items, leaks, 0.0, |_, _| true)
}
