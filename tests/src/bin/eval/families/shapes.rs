//! Curves that families are put together from.

use crate::whole::amount;
use crate::{
    case::{Body, Case, Curve, Leak, MIB, Thing, Use},
    draw::Draw,
};

pub(super) const DAY: f64 = 86_400.0;
/// Seconds between two looks at a process that is watched for a day.
pub(super) const TICK: f64 = DAY / TICKS as f64;
const TICKS: usize = 17_280;

/// One value a tick.
pub(super) type Values = Vec<f64>;

pub(super) fn over_time(value: impl FnMut(f64) -> f64) -> Values {
    (0..TICKS).map(|tick| tick as f64 * TICK).map(value).collect()
}

pub(super) fn noise(draw: &mut Draw, deviation: f64) -> Values {
    over_time(|_| draw.normal(deviation))
}

/// Noise that remembers for so many seconds (Ornstein-Uhlenbeck).
pub(super) fn wander(draw: &mut Draw, memory: f64, deviation: f64) -> Values {
    let keep = (-TICK / memory).exp();
    let kick = deviation * (1.0 - keep * keep).sqrt();
    let mut at = draw.normal(deviation);
    over_time(|_| {
        at = keep * at + draw.normal(kick);
        at
    })
}

/// Rises by `height` and falls back, each time after about `period` seconds.
pub(super) fn saw(draw: &mut Draw, period: f64, height: f64) -> Values {
    let (mut began, mut length) = (0.0, period * draw.uniform(0.8, 1.2));
    over_time(|at| {
        if at - began > length {
            began = at;
            length = period * draw.uniform(0.8, 1.2);
        }
        height * (at - began) / length
    })
}

/// A day, beginning anywhere in it; -1 to 1.
pub(super) fn daily(draw: &mut Draw) -> Values {
    let phase = draw.uniform(0.0, 1.0);
    over_time(|at| (std::f64::consts::TAU * (at / DAY + phase)).sin())
}

/// Steady work.
pub(super) fn steady(draw: &mut Draw) -> Values {
    over_time(|_| 1.0 + draw.normal(0.02))
}

pub(super) fn sum(one: &[f64], other: &[f64]) -> Values {
    one.iter().zip(other).map(|(one, other)| one + other).collect()
}

pub(super) fn scaled(values: &[f64], by: f64) -> Values {
    values.iter().map(|value| value * by).collect()
}

/// A case of a process whose memory does not end.
pub(super) fn healthy(draw: &mut Draw, level: &[f64], load: Values, used: Use, age: f64) -> Case {
    let peak = level.iter().copied().fold(f64::MIN, f64::max);
    let by = draw.uniform(0.3, 0.95) / peak;
    let level: Values = level.iter().map(|value| value.max(0.01) * by).collect();
    let leaked = vec![0.0; level.len()];
    case(
        draw,
        None,
        Curve {
            level,
            leaked,
            load,
            used,
        },
        age,
    )
}

/// A case of a process that leaks `leaked` beside what it has in use; it ends at its limit.
pub(super) fn leaky(
    draw: &mut Draw,
    in_use: &[f64],
    leaked: Option<Values>,
    onset: f64,
    rest: (Values, Use),
    age: f64,
) -> Case {
    let is_leaky = leaked.is_some();
    let leaked = leaked.unwrap_or_else(|| vec![0.0; in_use.len()]);
    let level: Values = sum(in_use, &leaked)
        .into_iter()
        .map(|value| value.max(0.01))
        .collect();
    let leak = is_leaky.then_some(Leak { onset, rate: 0.0 });
    let (load, used) = rest;
    case(
        draw,
        leak,
        Curve {
            level,
            leaked,
            load,
            used,
        },
        age,
    )
}

fn case(draw: &mut Draw, mut leak: Option<Leak>, mut curve: Curve, age: f64) -> Case {
    let limit = [512.0, 4_096.0, 32_768.0][draw.below(3)] * MIB;
    let end = curve.level.iter().position(|&level| level >= 1.0);
    let ticks = end.unwrap_or(curve.level.len()).max(2);
    curve.level.truncate(ticks);
    curve.leaked.truncate(ticks);
    curve.load.truncate(ticks);
    if let Some(leak) = &mut leak {
        let leaked = curve.leaked.last().copied().unwrap_or(0.0) * limit;
        leak.rate = leaked / (ticks as f64 * TICK - leak.onset).max(TICK);
    }
    Case {
        thing: Thing::Heap,
        leak,
        tick: TICK,
        ticks,
        exhausts: end.is_some(),
        limit: amount(limit),
        age,
        body: Body::Curve(curve),
    }
}
