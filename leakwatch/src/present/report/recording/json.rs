//! For a program (`docs/reports.md`).

use std::io::{self, Write};

use serde::Serialize;

use crate::model::{
    finding::{Finding, Resource},
    identity::ProcessId,
    snapshot::{SCHEMA_VERSION, State},
};
use crate::present::recording::{Course, Recording};

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    tool_version: &'a str,
    host: Option<&'a str>,
    began_unix_ms: Option<u64>,
    ended_unix_ms: Option<u64>,
    readings: u64,
    findings: Vec<&'a Finding>,
    processes: Vec<Process<'a>>,
}

#[derive(Serialize)]
struct Process<'a> {
    #[serde(flatten)]
    id: ProcessId,
    name: &'a str,
    exe: Option<&'a str>,
    container_id: Option<&'a str>,
    state: State,
    ended: bool,
    levels: Vec<Level>,
}

/// Bytes of memory, else counts.
#[derive(Serialize)]
struct Level {
    resource: Resource,
    first: u64,
    last: u64,
    most: u64,
    /// The least of what was held since, at the beginning and at the end.
    floor_first: u64,
    floor_last: u64,
}

/// Writes everything but the readings themselves.
///
/// # Errors
/// What the writer says.
pub fn write(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    let last = recording.last();
    let document = Document {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        host: last.map(|last| last.host.as_str()),
        began_unix_ms: recording.began_unix_ms(),
        ended_unix_ms: last.map(|last| last.time_unix_ms),
        readings: recording.readings(),
        findings: recording.findings(),
        processes: recording.courses().into_iter().map(process).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn process(course: &Course) -> Process<'_> {
    Process {
        id: course.id,
        name: &course.name,
        exe: course.exe.as_deref(),
        container_id: course.container.as_deref(),
        state: course.state,
        ended: course.ended,
        levels: Resource::ALL.map(|resource| level(course, resource)).into(),
    }
}

fn level(course: &Course, resource: Resource) -> Level {
    let of = |levels: &crate::present::recording::series::Levels| levels[resource as usize];
    let floor = course.series.floor(resource);
    Level {
        resource,
        first: of(&course.first),
        last: of(&course.last),
        most: of(&course.most),
        floor_first: floor.first().copied().unwrap_or(0),
        floor_last: floor.last().copied().unwrap_or(0),
    }
}
