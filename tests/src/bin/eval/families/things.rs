//! Streams of births and deaths that families are put together from.

use crate::whole::{amount, count};
use crate::{
    case::{Body, Case, Item, Leak, MIB, Stream, Thing, Use},
    draw::Draw,
};

/// Seconds that a stream lasts.
pub(super) const END: f64 = 7_200.0;
/// Seconds between two looks.
const TICK: f64 = 1.0;

/// The call site that a family is about, and one beside it that gives back what it takes.
pub(super) const SITE: u8 = 0;
const OTHER_SITE: u8 = 1;

/// What the `number`th case takes: every resource in turn.
pub(super) fn any(number: u64) -> Thing {
    let things = [
        Thing::File,
        Thing::Socket,
        Thing::Thread,
        Thing::Mapping,
        Thing::SmallMapping,
    ];
    things[usize::try_from(number % 5).unwrap_or(0)]
}

/// Things born at these times, with these lifetimes.
pub(super) fn items(
    draw: &mut Draw,
    births: &[f64],
    used: Use,
    mut lifetime: impl FnMut(&mut Draw, usize) -> f64,
) -> Vec<Item> {
    let mut item = |(index, &born)| Item {
        born,
        died: born + lifetime(draw, index),
        site: SITE,
        used_every: match used {
            Use::Never => f64::INFINITY,
            Use::Between(low, high) => draw.log_uniform(low, high),
        },
        leaked: false,
    };
    births.iter().enumerate().map(&mut item).collect()
}

/// How often each thing of one case is used: alike.
pub(super) fn alike(draw: &mut Draw, low: f64, high: f64) -> Use {
    let each = draw.log_uniform(low, high);
    Use::Between(each, each * 1.001)
}

/// While something is in use it is used about every second.
pub(super) const BUSY: Use = Use::Between(0.9, 1.1);

/// A process that gives back what it takes.
pub(super) fn healthy(draw: &mut Draw, thing: Thing, items: Vec<Item>, age: f64) -> Case {
    let mut case = case(draw, thing, items, None, age);
    let peak = case.level().into_iter().fold(0.0, f64::max);
    let enough = peak * case.limit as f64 / 0.9;
    case.limit = limits(thing)
        .into_iter()
        .find(|&limit| limit >= case.limit && limit as f64 >= enough)
        .unwrap_or(amount(enough));
    case
}

/// A process that loses what `is_lost` says from `onset` on, if it leaks.
pub(super) fn leaky(
    draw: &mut Draw,
    thing: Thing,
    mut items: Vec<Item>,
    leaks: bool,
    onset: f64,
    mut is_lost: impl FnMut(&mut Draw, &Item) -> bool,
) -> Case {
    for item in &mut items {
        // Drawn in any case, so that the twin draws alike.
        if is_lost(draw, item) && leaks && item.born >= onset {
            item.leaked = true;
            item.died = f64::INFINITY;
            item.used_every = f64::INFINITY;
        }
    }
    let age = if draw.chance(0.5) {
        draw.log_uniform(600.0, 2_592_000.0)
    } else {
        0.0
    };
    if !leaks {
        return healthy(draw, thing, items, age);
    }
    let leak = Leak { onset, rate: 0.0 };
    let mut case = case(draw, thing, items, Some(leak), age);
    if let Some(end) = case.level().iter().position(|&level| level >= 1.0) {
        case.ticks = end.max(2);
        case.exhausts = true;
    }
    let lost = case.leaked(case.seconds());
    let seconds = (case.seconds() - onset).max(TICK);
    case.leak = Some(Leak {
        onset,
        rate: lost / seconds,
    });
    case
}

fn case(draw: &mut Draw, thing: Thing, mut items: Vec<Item>, leak: Option<Leak>, age: f64) -> Case {
    if draw.chance(0.5) {
        let rate = draw.log_uniform(0.5, 5.0);
        let births = draw.arrivals(rate, 0.0, END);
        let mean = draw.log_uniform(0.05, 5.0);
        let mut others = self::items(draw, &births, BUSY, |draw, _| draw.exponential(mean));
        for other in &mut others {
            other.site = OTHER_SITE;
        }
        items.append(&mut others);
    }
    items.sort_by(|one, other| one.born.total_cmp(&other.born));
    let bytes = match thing {
        Thing::Mapping => amount(draw.log_uniform(16.0, 1_024.0)) * 4_096,
        Thing::SmallMapping => 4_096,
        _ => 0,
    };
    let base = match thing {
        Thing::Heap | Thing::Mapping => amount(draw.uniform(30.0, 200.0) * MIB),
        Thing::File | Thing::Socket => draw.log_count(8.0, 100.0) as u64,
        Thing::Thread => draw.log_count(2.0, 40.0) as u64,
        Thing::SmallMapping => draw.log_count(60.0, 400.0) as u64,
    };
    let limits = limits(thing);
    let limit = limits[draw.below(limits.len())];
    let (peer_closed, same_file) = (draw.chance(0.5), draw.chance(0.5));
    Case {
        thing,
        leak,
        tick: TICK,
        ticks: count(END / TICK),
        exhausts: false,
        limit,
        age,
        body: Body::Stream(Stream {
            items,
            bytes,
            base,
            peer_closed: peer_closed && leak.is_some(),
            same_file,
        }),
    }
}

/// Limits that are met in the field, ascending.
fn limits(thing: Thing) -> Vec<u64> {
    const GIB: u64 = 1 << 30;
    match thing {
        Thing::Heap | Thing::Mapping => vec![GIB / 2, 4 * GIB, 32 * GIB],
        Thing::File | Thing::Socket => vec![1_024, 1_024, 65_536],
        Thing::Thread => vec![4_096, 32_768],
        Thing::SmallMapping => vec![65_530],
    }
}

/// Of these times those that fall into busy hours: a wave of `period` seconds.
pub(super) fn in_waves(draw: &mut Draw, births: Vec<f64>, period: f64) -> Vec<f64> {
    births
        .into_iter()
        .filter(|at| draw.chance(0.5 + 0.5 * (std::f64::consts::TAU * at / period).sin()))
        .collect()
}
