//! For programs: `docs/schema/explain.json`.

use std::io;

use serde::Serialize;

use super::{Difference, Explanation, NextStep, apart, changed, next_step::next_step, unread::unread};
use crate::model::{
    census::{Answers, MAX_ROWS, RuntimeView},
    finding::{Finding, Resource},
    snapshot::{ProcessRow, SCHEMA_VERSION},
};

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    tool_version: &'a str,
    host: &'a str,
    time_unix_ms: u64,
    observed_seconds: f64,
    ended: bool,
    runtimes: Vec<String>,
    process: &'a ProcessRow,
    findings: Vec<&'a Finding>,
    trend: Vec<Point>,
    seconds_between_censuses: f64,
    differences: Vec<Difference>,
    answers: Option<Answered<'a>>,
    unread: Vec<String>,
    next_step: NextStep,
}

/// What its runtime said when it was asked.
#[derive(Serialize)]
struct Answered<'a> {
    acts: &'a str,
    took_seconds: [f64; 2],
    seconds_between: f64,
    runtime: &'a str,
    version: Option<&'a str>,
    live_bytes: Option<u64>,
    differences: Vec<Difference>,
}

/// What was held at one time.
#[derive(Serialize)]
struct Point {
    seconds: f64,
    memory: u64,
    fds: u64,
    threads: u64,
    maps: u64,
}

fn answered(answers: &Answers) -> Answered<'_> {
    let Answers { acts, first, last } = answers;
    let view: Option<&RuntimeView> = last.views.first();
    let mut differences = changed(answers);
    differences.truncate(MAX_ROWS);
    Answered {
        acts,
        took_seconds: [first, last].map(|census| census.took_ns as f64 / 1e9),
        seconds_between: apart(first, last),
        runtime: view.map_or("", |view| &view.runtime),
        version: view.and_then(|view| view.version.as_deref()),
        live_bytes: view.and_then(|view| view.heap.live),
        differences,
    }
}

pub(super) fn write(explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    let snapshot = explanation.snapshot();
    let points = explanation
        .course()
        .map_or(&[][..], |course| course.series.points());
    let trend = points.iter().map(|point| {
        let of = |resource: Resource| point.last[resource as usize];
        Point {
            seconds: point.elapsed_ns as f64 / 1e9,
            memory: of(Resource::Memory),
            fds: of(Resource::Fd),
            threads: of(Resource::Thread),
            maps: of(Resource::Maps),
        }
    });
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        host: snapshot.map_or("", |snapshot| &snapshot.host),
        time_unix_ms: snapshot.map_or(0, |snapshot| snapshot.time_unix_ms),
        observed_seconds: explanation.recording.length_ns() as f64 / 1e9,
        ended: explanation.ended,
        runtimes: explanation.runtimes(),
        process: &explanation.process,
        findings: explanation.findings(),
        trend: trend.collect(),
        seconds_between_censuses: explanation.between_censuses(),
        differences: explanation.differences(),
        answers: explanation.answers().map(answered),
        unread: unread(explanation),
        next_step: next_step(explanation),
    };
    serde_json::to_writer_pretty(&mut *out, &document).map_err(io::Error::from)?;
    writeln!(out)
}
