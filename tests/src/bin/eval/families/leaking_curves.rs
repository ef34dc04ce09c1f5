//! Memory of processes that leak: 10 minutes to 3 days from the first loss to the limit.

use super::{
    Make,
    shapes::{DAY, TICK, Values, daily, leaky, noise, over_time, saw, scaled, steady, sum, wander},
};
use crate::{
    case::{Case, Use},
    draw::Draw,
};

pub(super) const ALL: [(&str, Make); 9] = [
    ("heap leak, steady", linear),
    ("heap leak under GC saw", under_saw),
    ("heap leak under diurnal load", under_diurnal),
    ("heap leak in bursts", bursts),
    ("heap leak, onset mid-life", onset),
    ("heap leak, accelerating", accelerating),
    ("heap leak under wandering load", under_wandering),
    ("heap leak and pool", and_pool),
    ("heap leak, slow", slow),
];

/// What most of these begin with.
struct Start {
    base: f64,
    /// Share of the limit lost per second.
    rate: f64,
    noise: Values,
}

impl Start {
    fn new(draw: &mut Draw, fastest: f64, slowest: f64) -> Self {
        let base = draw.uniform(0.1, 0.6);
        let rate = (1.0 - base) / draw.log_uniform(fastest, slowest);
        let noise = noise(draw, base * 0.004);
        Self { base, rate, noise }
    }

    fn in_use(&self) -> Values {
        self.noise.iter().map(|noise| self.base + noise).collect()
    }
}

const FASTEST: f64 = 600.0;
const SLOWEST: f64 = 3.0 * DAY;
const WORKING: Use = Use::Between(1.0, 60.0);

/// Half of them have run for long when they are first seen.
fn age(draw: &mut Draw) -> f64 {
    if draw.chance(0.5) {
        draw.log_uniform(600.0, 30.0 * DAY)
    } else {
        0.0
    }
}

fn end(draw: &mut Draw, in_use: &[f64], lost: Option<Values>, onset: f64, load: Values, used: Use) -> Case {
    let age = age(draw);
    leaky(draw, in_use, lost, onset, (load, used), age)
}

fn linear(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    steadily(draw, leaks, FASTEST, SLOWEST)
}

fn slow(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    steadily(draw, leaks, 1.5 * DAY, SLOWEST)
}

fn steadily(draw: &mut Draw, leaks: bool, fastest: f64, slowest: f64) -> Case {
    let start = Start::new(draw, fastest, slowest);
    let lost = leaks.then(|| over_time(|at| start.rate * at));
    let load = steady(draw);
    end(draw, &start.in_use(), lost, 0.0, load, WORKING)
}

fn under_saw(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let height = (start.base * draw.uniform(0.2, 0.6)).min(0.9 - start.base);
    let period = draw.log_uniform(10.0, 900.0);
    let in_use = sum(&start.in_use(), &saw(draw, period, height));
    let lost = leaks.then(|| over_time(|at| start.rate * at));
    let load = steady(draw);
    end(draw, &in_use, lost, 0.0, load, Use::Never)
}

fn under_diurnal(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let wave = daily(draw);
    let mut so_far = 0.0;
    let lost: Values = wave
        .iter()
        .map(|wave| {
            so_far += start.rate * (1.0 + 0.7 * wave) * TICK;
            so_far
        })
        .collect();
    let load = sum(&steady(draw), &scaled(&wave, 0.6));
    end(draw, &start.in_use(), leaks.then_some(lost), 0.0, load, WORKING)
}

fn bursts(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let burst = (start.rate * 300.0).max(2e-4);
    let mut so_far = 0.0;
    let lost = over_time(|_| {
        so_far += burst * draw.poisson(start.rate / burst * TICK);
        so_far
    });
    let load = steady(draw);
    end(draw, &start.in_use(), leaks.then_some(lost), 0.0, load, WORKING)
}

fn onset(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let onset = draw.uniform(3_600.0, 36_000.0);
    let lost = leaks.then(|| over_time(|at| start.rate * (at - onset).max(0.0)));
    let load = steady(draw);
    end(draw, &start.in_use(), lost, onset, load, WORKING)
}

fn accelerating(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let lost = leaks.then(|| over_time(|at| start.rate * 0.5 * at * (1.0 + at / DAY)));
    let load = steady(draw);
    end(draw, &start.in_use(), lost, 0.0, load, WORKING)
}

fn under_wandering(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let (memory, deviation) = (
        draw.log_uniform(60.0, 1_800.0),
        start.base * draw.uniform(0.02, 0.08),
    );
    let work = wander(draw, memory, deviation);
    let in_use = sum(&start.in_use(), &work);
    let lost = leaks.then(|| over_time(|at| start.rate * at));
    let load = sum(&steady(draw), &scaled(&work, 2.0 / start.base));
    end(draw, &in_use, lost, 0.0, load, WORKING)
}

fn and_pool(draw: &mut Draw, _: u64, leaks: bool) -> Case {
    let start = Start::new(draw, FASTEST, SLOWEST);
    let (height, time) = (
        start.base * draw.uniform(0.1, 0.4),
        draw.log_uniform(60.0, 2_700.0),
    );
    let pool = over_time(|at| height * (1.0 - (-at / time).exp()));
    let in_use = sum(&start.in_use(), &pool);
    let lost = leaks.then(|| over_time(|at| start.rate * at));
    let load = steady(draw);
    end(draw, &in_use, lost, 0.0, load, WORKING)
}
