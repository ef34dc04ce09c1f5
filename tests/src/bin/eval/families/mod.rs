//! Programs that leak, and programs that only look like it.
//!
//! They are those of `docs/evaluation.md`. Every leaky family has a healthy twin: the same program, drawn from the same numbers,
//! with the missing `free` or `close` in place.

mod curves;
mod growers;
mod leaking_curves;
mod leaking_streams;
mod shapes;
mod streams;
mod things;

use crate::{case::Case, draw::Draw};

/// How a family is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The level of a process over a day.
    Curve,
    /// Every birth and death at its call sites over two hours.
    Stream,
}

/// The truth about a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// Grows, and is no leak.
    Healthy,
    /// The leaky program of this name, mended.
    Twin,
    Leaky,
}

/// What draws the `number`th case; the last argument says whether it leaks.
type Make = fn(&mut Draw, u64, bool) -> Case;

/// How they are watched, their names, and the first numbers that they draw from.
type Makes = (Group, &'static [(&'static str, Make)], u64);

pub(crate) struct Family {
    pub name: &'static str,
    pub group: Group,
    pub truth: Truth,
    /// Which random numbers it draws; its twin has the same.
    stream: u64,
    make: Make,
}

impl Family {
    pub(crate) fn case(&self, seed: u64, number: u64) -> Case {
        let mut draw = Draw::new(seed, self.stream, number);
        (self.make)(&mut draw, number, self.truth == Truth::Leaky)
    }
}

/// Every family. Each table of them has its own numbers to draw from.
pub(crate) fn all() -> Vec<Family> {
    let healthy = [
        (Group::Curve, &curves::ALL[..], 0),
        (Group::Stream, &streams::ALL[..], 100),
        (Group::Stream, &growers::ALL[..], 200),
    ];
    let leaky = [
        (Group::Curve, &leaking_curves::ALL[..], 1_000),
        (Group::Stream, &leaking_streams::ALL[..], 1_100),
    ];
    let of = |truth, tables: &[Makes]| {
        let family = move |(stream, &(name, make)): (u64, &(&'static str, Make)), group| Family {
            name,
            group,
            truth,
            stream,
            make,
        };
        tables
            .iter()
            .flat_map(|&(group, makes, first)| (first..).zip(makes).map(move |pair| family(pair, group)))
            .collect::<Vec<_>>()
    };
    let mut families = of(Truth::Healthy, &healthy);
    families.extend(of(Truth::Leaky, &leaky));
    families.extend(of(Truth::Twin, &leaky));
    families
}
