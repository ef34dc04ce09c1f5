//! Call sites that hold more and more for a good reason, up to a cap.

use super::{
    Make,
    things::{BUSY, END, alike, any, healthy, items},
};
use crate::{
    case::{Case, Item, Thing, Use},
    draw::Draw,
};

pub(super) const ALL: [(&str, Make); 5] = [
    ("connection pool", pool),
    ("cache fill, LRU at cap", cache),
    ("websocket ramp", sessions),
    ("thread pool growth", thread_pool),
    ("config step", config_step),
];

/// Requests, and now and then one whose connection is kept, up to a cap.
fn pool(draw: &mut Draw, number: u64, _: bool) -> Case {
    let rate = draw.log_uniform(0.5, 10.0);
    let births = draw.arrivals(rate, 0.0, END);
    let (mean, cap) = (draw.log_uniform(0.1, 5.0), draw.log_count(8.0, 256.0));
    let (share, used) = (draw.log_uniform(0.02, 0.5), alike(draw, 1.0, 120.0));
    let mut kept = 0;
    let items = items(draw, &births, used, |draw, _| {
        if kept < cap && draw.chance(share) {
            kept += 1;
            f64::INFINITY
        } else {
            draw.exponential(mean)
        }
    });
    healthy(draw, any(number), items, 0.0)
}

/// Kept until the cap is reached, from then on the oldest makes room for the newest.
fn cache(draw: &mut Draw, number: u64, _: bool) -> Case {
    let rate = draw.log_uniform(0.1, 5.0);
    let (births, cap) = (draw.arrivals(rate, 0.0, END), draw.log_count(50.0, 2_000.0));
    let items = items(draw, &births, Use::Between(1.0, 7_200.0), |_, index| {
        births
            .get(index + cap)
            .map_or(f64::INFINITY, |evicts| evicts - births[index])
    });
    healthy(draw, any(number), items, 0.0)
}

/// Health checks, and sessions that last 10 minutes to an hour on average.
fn sessions(draw: &mut Draw, number: u64, _: bool) -> Case {
    let (checks, rate) = (draw.log_uniform(0.2, 2.0), draw.log_uniform(0.05, 1.0));
    let births = draw.arrivals(checks, 0.0, END);
    let mut all = items(draw, &births, BUSY, |draw, _| draw.exponential(0.5));
    let births = draw.arrivals(rate, 0.0, END);
    let (mean, used) = (draw.log_uniform(600.0, 3_600.0), alike(draw, 5.0, 90.0));
    all.extend(items(draw, &births, used, |draw, _| draw.exponential(mean)));
    // One thread per session in one case of three.
    let thing = if number % 3 == 2 {
        Thing::Thread
    } else {
        Thing::Socket
    };
    healthy(draw, thing, all, 0.0)
}

/// A thread more whenever all are busy, up to a cap.
fn thread_pool(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (cap, pause) = (draw.log_count(16.0, 512.0), draw.log_uniform(0.2, 20.0));
    let mut births = draw.arrivals(1.0 / pause, 0.0, END);
    births.truncate(cap);
    let used = alike(draw, 1.0, 120.0);
    let items = items(draw, &births, used, |_, _| f64::INFINITY);
    healthy(draw, Thing::Thread, items, 0.0)
}

/// Every reload takes some more for good: new listeners, new log files.
fn config_step(draw: &mut Draw, number: u64, _: bool) -> Case {
    let (rate, mean) = (draw.log_uniform(0.5, 5.0), draw.log_uniform(0.05, 5.0));
    let births = draw.arrivals(rate, 0.0, END);
    let mut all: Vec<Item> = items(draw, &births, BUSY, |draw, _| draw.exponential(mean));
    let used = alike(draw, 1.0, 600.0);
    for _ in 0..=draw.below(6) {
        let (at, count) = (draw.uniform(0.0, END), draw.log_count(8.0, 200.0));
        let births: Vec<f64> = (0..count).map(|index| at + index as f64 * 0.01).collect();
        all.extend(items(draw, &births, used, |_, _| f64::INFINITY));
    }
    healthy(draw, any(number), all, 3_600.0)
}
