//! Which rows hold more and more, and how much of the growth they explain.

use super::{
    Books, LEAST_WAIT, Row, SINCE_IT_BEGAN,
    generic::is_generic,
    rungs::{Climb, Moments},
};
use crate::model::{
    census::Counted,
    finding::{Holder, Resource},
};

/// Holders of a finding at the most.
const MAX_HOLDERS: usize = 5;
/// Things of the program's own are named first when they grow by this part, in number, of what grows most; or explain this
/// part of the growth.
const AT_LEAST: f64 = 0.01;
const AT_LEAST_SHARE: f64 = 0.05;

/// A row that grows.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) holder: Holder,
    pub(super) climb: Climb,
    /// Its oldest waits since the growth began.
    pub(super) waits: bool,
    tier: u8,
    /// Bytes, and things.
    gained: (f64, f64),
}

/// Rows that grow, the most suspicious first.
pub(super) fn found(books: &Books, resource: Resource) -> Vec<Found> {
    let rows = || books.rows.iter().filter(|row| row.counted.resource() == resource);
    let most = rows().map(|row| row.count.gained()).fold(0.0, f64::max);
    let mut found: Vec<Found> = rows()
        .filter_map(|row| of_row(books, row, resource, most))
        .collect();
    found.sort_by(|a, b| {
        a.tier
            .cmp(&b.tier)
            .then_with(|| b.gained.0.total_cmp(&a.gained.0))
            .then_with(|| b.gained.1.total_cmp(&a.gained.1))
            .then_with(|| a.holder.name.cmp(&b.holder.name))
            .then_with(|| a.holder.runtime.cmp(&b.holder.runtime))
    });
    found.truncate(MAX_HOLDERS);
    found
}

fn of_row(books: &Books, row: &Row, resource: Resource, most: f64) -> Option<Found> {
    let climb = row.now.is_there.then(|| row.climb(&books.moments)).flatten()?;
    let count = row.count.gained_since(climb.from).unwrap_or(0.0);
    let bytes = row.bytes.gained_since(climb.from);
    let alike = |gain: fn(&Row, usize) -> Option<f64>| {
        let rows = books.rows.iter();
        let alike = rows.filter(|of| of.counted == row.counted && of.runtime == row.runtime);
        alike
            .filter_map(|of| gain(of, climb.from))
            .fold(0.0, |sum, gain| sum + gain.max(0.0))
    };
    let of_number = part(count, alike(|row, from| row.count.gained_since(from)));
    let of_bytes = bytes.map_or(0.0, |bytes| {
        let of_process = match resource {
            Resource::Memory => books.moments.gained_since(climb.from).unwrap_or(0.0),
            Resource::Fd | Resource::Thread | Resource::Maps => 0.0,
        };
        part(
            bytes,
            of_process.max(alike(|row, from| row.bytes.gained_since(from))),
        )
    });
    let share = of_number.max(of_bytes);
    let waits = row.now.oldest.is_some_and(|oldest| {
        climb.is_steady && oldest >= LEAST_WAIT && oldest >= SINCE_IT_BEGAN * climb.seconds
    });
    let matters = count >= AT_LEAST * most || of_bytes >= AT_LEAST_SHARE;
    let own = matters && !is_generic(&row.runtime, row.counted, &row.name);
    let tier = match (waits, climb.is_steady, own) {
        (true, ..) => 0,
        (_, true, true) => 1,
        (_, true, false) => 2,
        (_, false, true) => 3,
        (_, false, false) => 4,
    };
    Some(Found {
        holder: Holder {
            counted: row.counted,
            runtime: row.runtime.to_string(),
            name: row.name.to_string(),
            count: row.now.count,
            bytes: row.now.bytes,
            rate_per_second: count / climb.seconds.max(1.0),
            bytes_per_second: bytes.map(|bytes| bytes / climb.seconds.max(1.0)),
            share,
            oldest_seconds: row.now.oldest,
            frames: Vec::new(),
        },
        climb,
        waits,
        tier,
        gained: (bytes.unwrap_or(0.0), count),
    })
}

impl Found {
    /// How it grows, in words.
    pub(super) fn text(&self) -> String {
        let Climb { steps, upwards, .. } = self.climb;
        let looks = if upwards == steps {
            format!("each of {steps}")
        } else {
            format!("{upwards} of {steps}")
        };
        let rate = if self.gained.1 > 0.0 {
            format!("+{:.1}/s", self.holder.rate_per_second)
        } else {
            let kib = self.holder.bytes_per_second.unwrap_or_default() / 1_024.0;
            format!("+{kib:.1} KiB/s")
        };
        format!(
            "{}: {rate}, more at {looks} looks in {:.0} s, {:.0} % of the growth",
            self.holder.name,
            self.climb.seconds,
            100.0 * self.holder.share
        )
    }
}

fn part(some: f64, all: f64) -> f64 {
    if all > 0.0 {
        (some / all).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

impl Row {
    /// By number where that rises, else by bytes.
    fn climb(&self, moments: &Moments) -> Option<Climb> {
        let by_number = self.count.climb(moments);
        let by_bytes = self.bytes.climb(moments);
        match (by_number, by_bytes) {
            (Some(number), Some(bytes)) if bytes.is_steady && !number.is_steady => Some(bytes),
            (number, bytes) => number.or(bytes),
        }
    }

    /// What tells it from all others.
    pub(super) fn key(&self) -> (&str, Counted, &str) {
        (&self.runtime, self.counted, &self.name)
    }
}
