//! A recording written out: for a terminal, a program, a ticket, a browser. One writer per format.

mod csv;
mod html;
mod json;
mod markdown;
mod text;

pub(in crate::present) use self::html::Page;
pub use self::{
    csv::CsvWriter, html::write as html, json::write as json, markdown::write as markdown,
    text::write as text,
};

use crate::model::{
    finding::{Finding, FindingSite, Resource},
    snapshot::FrameRow,
};
use crate::present::{
    profile,
    recording::{Course, Recording},
    summary, units, words,
};

/// Processes in the tables for people; programs get all.
const SHOWN_PROCESSES: usize = 20;

/// Sites shown of each finding.
const SHOWN_SITES: usize = 5;

/// Frames shown of each site.
const SHOWN_FRAMES: usize = 12;

/// From when to when, and how often it was read.
fn period(recording: &Recording) -> String {
    let (Some(began), Some(last)) = (recording.began_unix_ms(), recording.last()) else {
        return "no readings".to_owned();
    };
    format!(
        "{} to {}: {}, {} readings",
        summary::time(began),
        summary::time(last.time_unix_ms),
        units::duration(recording.length_ns()),
        recording.readings()
    )
}

/// Label and value of what is known of a finding beyond its sentence.
fn numbers(finding: &Finding) -> Vec<(&'static str, String)> {
    let rate = finding.rate_per_second.as_ref();
    let limit = finding.limit.as_ref();
    let all = [
        ("rate", rate.map(|rate| words::rate(finding.resource, rate))),
        ("limit", limit.map(|limit| words::limit(finding.resource, limit))),
        ("looks like", finding.class.map(|class| class.name().to_owned())),
        ("suspected since", finding.since_unix_ms.map(summary::time)),
    ];
    all.into_iter()
        .filter_map(|(label, value)| Some((label, value?)))
        .collect()
}

/// What a site takes and what it holds: `288 held, 72 % of it, oldest 9m50s`.
fn held(resource: Resource, site: &FindingSite) -> String {
    let amount = match resource {
        Resource::Memory => site.bytes,
        Resource::Fd | Resource::Thread | Resource::Maps => site.live,
    };
    let parts = [
        amount.map(|held| format!("{} held", words::amount(resource, held))),
        Some(format!("{:.0} % of it", site.share * 100.0)),
        site.oldest_seconds
            .map(|oldest| format!("oldest {}", words::seconds(oldest))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `HttpPool::connect`, and where that is.
fn frame(frame: &FrameRow) -> (String, String) {
    let place = match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => frame.module.clone(),
    };
    (profile::label(frame), place)
}

/// `412 (+372)`: what a process held when it was seen last, and by how much that is more than at first.
pub(in crate::present) fn level(course: &Course, resource: Resource) -> String {
    let now = words::amount(resource, course.last[resource as usize]);
    match course.gained(resource) {
        0 => now,
        gained => format!("{now} ({})", signed(resource, gained)),
    }
}

/// A change, always signed.
pub(in crate::present) fn signed(resource: Resource, change: i128) -> String {
    let sign = if change < 0 { '-' } else { '+' };
    let size = u64::try_from(change.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{sign}{}", words::amount(resource, size))
}

/// A state, and whether the process has ended.
fn state(course: &Course) -> String {
    let state = crate::present::fields::state_name(course.state);
    if course.ended {
        format!("ended, {state}")
    } else {
        state.to_owned()
    }
}

#[cfg(test)]
mod tests;
