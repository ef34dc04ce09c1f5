//! Memory of processes that grow, or seem to, and do not leak.

use super::{
    Make,
    shapes::{DAY, Values, daily, healthy, noise, over_time, saw, scaled, steady, sum, wander},
};
use crate::{
    case::{Case, Use},
    draw::Draw,
};

pub(super) const ALL: [(&str, Make); 11] = [
    ("GC saw", gc_saw),
    ("warm-up, exponential", warm_up),
    ("warm-up, logarithmic", logarithmic),
    ("cache fill, linear", cache_fill),
    ("diurnal", diurnal),
    ("wandering load", wandering_load),
    ("config steps", steps),
    ("heap resize staircase", doubling),
    ("batch, memory", batch),
    ("JVM start and GC", jvm),
    ("pool ramp, memory", pool),
];

fn around(draw: &mut Draw, level: &[f64]) -> Values {
    sum(level, &noise(draw, 0.004))
}

fn gc_saw(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (period, height) = (draw.log_uniform(10.0, 900.0), draw.uniform(0.2, 0.6));
    let rising: Values = saw(draw, period, height).iter().map(|saw| 1.0 + saw).collect();
    let level = around(draw, &rising);
    let load = steady(draw);
    // Garbage is not used any more; the collector comes for it.
    healthy(draw, &level, load, Use::Never, 3_600.0)
}

fn warm_up(draw: &mut Draw, _: u64, _: bool) -> Case {
    let time = draw.log_uniform(30.0, 2_700.0);
    let level = around(draw, &over_time(|at| 0.3 + 0.7 * (1.0 - (-at / time).exp())));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 300.0), 0.0)
}

fn logarithmic(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (height, time) = (draw.uniform(0.05, 0.2), draw.log_uniform(60.0, 3_600.0));
    let level = around(draw, &over_time(|at| 1.0 + height * (at / time).ln_1p()));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 600.0), 0.0)
}

fn cache_fill(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (time, height) = (draw.log_uniform(120.0, 21_600.0), draw.uniform(0.2, 1.0));
    let level = around(draw, &over_time(|at| 0.4 + (at / time).min(1.0) * height));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 7_200.0), 0.0)
}

fn diurnal(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (wave, height) = (daily(draw), draw.uniform(0.1, 0.5));
    let level: Values = wave.iter().map(|wave| 1.0 + height * wave).collect();
    let level = around(draw, &level);
    let load = sum(&steady(draw), &scaled(&wave, 0.6));
    healthy(draw, &level, load, Use::Between(1.0, 60.0), 3.0 * DAY)
}

fn wandering_load(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (memory, deviation) = (draw.log_uniform(60.0, 3_600.0), draw.uniform(0.03, 0.15));
    let work = wander(draw, memory, deviation);
    let level: Values = work.iter().map(|work| (1.0 + work).max(0.05)).collect();
    let level = around(draw, &level);
    let load = sum(&steady(draw), &scaled(&work, 2.0));
    healthy(draw, &level, load, Use::Between(1.0, 60.0), 3_600.0)
}

fn steps(draw: &mut Draw, _: u64, _: bool) -> Case {
    let count = 1 + draw.below(6);
    let steps: Vec<(f64, f64)> = (0..count)
        .map(|_| (draw.uniform(0.0, DAY), draw.uniform(-0.15, 0.3)))
        .collect();
    let taken = |at: f64| {
        steps
            .iter()
            .filter(|step| step.0 < at)
            .map(|step| step.1)
            .sum::<f64>()
    };
    let level = around(draw, &over_time(|at| (1.0 + taken(at)).max(0.1)));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 3_600.0), 3_600.0)
}

fn doubling(draw: &mut Draw, _: u64, _: bool) -> Case {
    let time = draw.log_uniform(30.0, 900.0);
    let level = around(
        draw,
        &over_time(|at| (0.1 * (1.0 + at / time).log2().floor().exp2()).min(1.0)),
    );
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 30.0), 0.0)
}

fn batch(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (period, height) = (draw.log_uniform(600.0, 7_200.0), draw.uniform(0.5, 1.2));
    let rising: Values = saw(draw, period, height).iter().map(|saw| 1.0 + saw).collect();
    let level = around(draw, &rising);
    let load = steady(draw);
    healthy(draw, &level, load, Use::Never, 0.0)
}

fn jvm(draw: &mut Draw, _: u64, _: bool) -> Case {
    let (time, period) = (draw.log_uniform(60.0, 1_800.0), draw.log_uniform(20.0, 600.0));
    let start = over_time(|at| 0.3 + 0.5 * (1.0 - (-at / time).exp()));
    let garbage = saw(draw, period, 0.4);
    let level = around(draw, &sum(&start, &garbage));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 3_600.0), 0.0)
}

fn pool(draw: &mut Draw, _: u64, _: bool) -> Case {
    // Connections come as they are needed, each with its buffers, up to the most there may be.
    let (most, pause) = (draw.log_count(8.0, 256.0), draw.log_uniform(5.0, 300.0));
    let comes = draw.arrivals(1.0 / pause, 0.0, DAY);
    let have = |at: f64| comes.partition_point(|&come| come <= at).min(most) as f64 / most as f64;
    let height = draw.uniform(0.2, 1.0);
    let level = around(draw, &over_time(|at| 0.5 + height * have(at)));
    let load = steady(draw);
    healthy(draw, &level, load, Use::Between(1.0, 120.0), 0.0)
}
