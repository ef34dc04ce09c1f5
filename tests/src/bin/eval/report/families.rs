//! Where leakwatch is weak: what it says of each family and of each resource.

use leakwatch_tests::markdown::Table;

use crate::{
    case::Thing,
    detectors::Detector,
    families::{Family, Group, Truth},
    score::{
        Alarm, Judged, Tally,
        numbers::{duration, spread},
    },
};

pub(super) fn by_family(families: &[Family], judged: &[Judged]) -> String {
    let mut table = Table::new([
        "family",
        "watched",
        "is",
        "cases",
        "`leaking`",
        "no closer looks",
        "`suspected`",
        "limit near",
        "delay p50 / p95",
        "site right",
    ]);
    for (index, family) in families.iter().enumerate() {
        let of: Vec<&Judged> = judged.iter().filter(|judged| judged.family == index).collect();
        let count = |alarm: &dyn Fn(&Judged) -> Alarm| {
            let counts = |judged: &&&Judged| match family.truth {
                Truth::Leaky => judged.delay(alarm(judged)).is_some(),
                Truth::Healthy | Truth::Twin => alarm(judged).is_some(),
            };
            of.iter().filter(counts).count().to_string()
        };
        let delay = |judged: &&Judged| judged.delay(judged.leakwatch.leaking);
        let delays: Vec<f64> = of.iter().filter_map(delay).collect();
        let named: Vec<bool> = of
            .iter()
            .filter_map(|judged| judged.leakwatch.site_is_right)
            .collect();
        let right = named.iter().filter(|right| **right).count();
        let (watched, is) = words(family);
        table.row([
            family.name.to_owned(),
            watched.to_owned(),
            is.to_owned(),
            of.len().to_string(),
            count(&|judged| judged.leakwatch.leaking),
            count(&|judged| judged.without_probes.leaking),
            count(&|judged| judged.leakwatch.suspected),
            count(&|judged| judged.leakwatch.exhausting),
            spread(&delays, 0.95, duration),
            if family.truth == Truth::Leaky {
                format!("{right} of {}", named.len())
            } else {
                String::new()
            },
        ]);
    }
    table.render()
}

fn words(family: &Family) -> (&'static str, &'static str) {
    let watched = match family.group {
        Group::Curve => "level, 24 h",
        Group::Stream => "sites, 2 h",
    };
    let is = match family.truth {
        Truth::Healthy => "healthy",
        Truth::Twin => "mended",
        Truth::Leaky => "leaky",
    };
    (watched, is)
}

pub(super) fn by_thing(judged: &[Judged]) -> String {
    let mut table = Table::new([
        "resource",
        "precision",
        "recall",
        "false/process-day",
        "delay p50 / p95",
    ]);
    for thing in Thing::ALL {
        let mut tally = Tally::default();
        let mut delays = Vec::new();
        for judged in judged.iter().filter(|judged| judged.thing == thing) {
            let alarm = Detector::Leakwatch.alarm(judged);
            tally.add(judged, alarm);
            delays.extend(judged.delay(alarm));
        }
        table.row([
            thing.name().to_owned(),
            format!("{:.3}", tally.precision()),
            format!("{:.3}", tally.recall()),
            format!("{:.4}", tally.false_alarms_per_day()),
            spread(&delays, 0.95, duration),
        ]);
    }
    table.render()
}
