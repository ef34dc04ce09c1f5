//! For a terminal.

use std::io::{self, Write};

use super::{SHOWN_PROCESSES, level, numbers, period, state};
use crate::model::finding::{Finding, Resource};
use crate::present::{
    findings::{details, sentence},
    recording::Recording,
    summary, text,
};

/// Writes what was found, why, and what every process did.
///
/// # Errors
/// What the writer says.
pub fn write(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |content: String| writeln!(out, "{}", text::printable(&content).trim_end());
    let host = recording.last().map_or("-", |last| last.host.as_str());
    line(format!("{host}, {}", period(recording)))?;
    for problem in recording
        .last()
        .map_or_else(Vec::new, |last| summary::problems(&last.health))
    {
        line(format!("degraded: {problem}"))?;
    }
    line(String::new())?;
    let findings = recording.findings();
    if findings.is_empty() {
        line("no findings".to_owned())?;
        line(String::new())?;
    }
    for finding in findings {
        for content in one(finding) {
            line(content)?;
        }
        line(String::new())?;
    }
    for content in table(recording) {
        line(content)?;
    }
    Ok(())
}

fn one(finding: &Finding) -> Vec<String> {
    let exhausting = if finding.exhausting { " EXHAUSTING" } else { "" };
    let mut lines = vec![format!(
        "{}{exhausting}  {}",
        finding.verdict.name().to_uppercase(),
        sentence(finding)
    )];
    let numbers = numbers(finding);
    lines.extend(numbers.iter().map(|(label, value)| format!("  {label}: {value}")));
    lines.extend(details(finding));
    lines
}

/// The processes that matter most, in columns as wide as they have to be.
fn table(recording: &Recording) -> Vec<String> {
    let courses = recording.courses();
    let head = ["PID", "NAME", "STATE", "MEMORY", "FDS", "THREADS", "MAPS"].map(str::to_owned);
    let rows = courses.iter().take(SHOWN_PROCESSES).map(|course| {
        let [memory, fds, threads, maps] = Resource::ALL.map(|resource| level(course, resource));
        let name = text::printable(&course.name).into_owned();
        [
            course.id.pid.to_string(),
            name,
            state(course),
            memory,
            fds,
            threads,
            maps,
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
    let mut lines: Vec<String> = rows.iter().map(|row| padded(row, &rows)).collect();
    if courses.len() > SHOWN_PROCESSES {
        let more = courses.len() - SHOWN_PROCESSES;
        lines.push(format!("and {more} more processes: -o json or -o csv has all"));
    }
    lines
}

fn padded(row: &[String; 7], rows: &[[String; 7]]) -> String {
    let cells = row.iter().enumerate().map(|(column, cell)| {
        let widest = rows.iter().map(|row| text::width(&row[column])).max();
        let blank = " ".repeat(widest.unwrap_or(0).saturating_sub(text::width(cell)));
        if column == 0 {
            format!("{blank}{cell}")
        } else {
            format!("{cell}{blank}")
        }
    });
    cells.collect::<Vec<_>>().join("  ")
}
