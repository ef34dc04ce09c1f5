//! For a ticket.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::{SHOWN_FRAMES, SHOWN_PROCESSES, SHOWN_SITES, frame, held, level, numbers, period, state};
use crate::model::finding::{Finding, Resource};
use crate::present::{
    findings::{holder, sentence, weight},
    recording::Recording,
    summary, text,
};

/// Writes what was found, why, and what the processes did that matter most.
///
/// # Errors
/// What the writer says.
pub fn write(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    let host = recording.last().map_or("-", |last| last.host.as_str());
    writeln!(out, "## leakwatch: {}\n", prose(host))?;
    writeln!(out, "{}\n", prose(&period(recording)))?;
    if let Some(last) = recording.last() {
        for problem in summary::problems(&last.health) {
            writeln!(out, "> **degraded:** {}\n", prose(&problem))?;
        }
    }
    let findings = recording.findings();
    if findings.is_empty() {
        writeln!(out, "No findings.\n")?;
    }
    for finding in findings {
        one(finding, out)?;
    }
    table(recording, out)
}

fn one(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let exhausting = if finding.exhausting { ", exhausting" } else { "" };
    writeln!(
        out,
        "### {}{exhausting}: {} ({})\n\n{}\n",
        finding.verdict.name(),
        code(&finding.process),
        finding.pid,
        prose(&sentence(finding))
    )?;
    for (label, value) in numbers(finding) {
        writeln!(out, "- {label}: {}", prose(&value))?;
    }
    if !finding.evidence.is_empty() {
        writeln!(out, "\n| weight | evidence | |\n|---|---|---|")?;
    }
    for reason in &finding.evidence {
        let [name, why] = [&reason.name, &reason.text].map(|text| prose(text));
        writeln!(out, "| {} | {name} | {why} |", weight(reason))?;
    }
    if !finding.holders.is_empty() {
        writeln!(out)?;
    }
    for held in &finding.holders {
        writeln!(out, "- holds {}", prose(&holder(held)))?;
    }
    for site in finding.sites.iter().take(SHOWN_SITES) {
        let function = site.function.as_deref().unwrap_or("no function known");
        writeln!(
            out,
            "\n{} in {}: {}\n",
            prose(&site.kind),
            code(function),
            held(finding.resource, site)
        )?;
        for (function, place) in site.frames.iter().take(SHOWN_FRAMES).map(frame) {
            // Indented by four, it is code: nothing in it is markup.
            writeln!(out, "    {}", text::printable(&format!("{function}  {place}")))?;
        }
    }
    writeln!(out)
}

fn table(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "| pid | process | state | memory | fds | threads | mappings |\n|---:|---|---|---:|---:|---:|---:|"
    )?;
    let courses = recording.courses();
    for course in courses.iter().take(SHOWN_PROCESSES) {
        let levels = Resource::ALL.map(|resource| level(course, resource)).join(" | ");
        let name = code(&course.name).replace('|', "\\|");
        writeln!(
            out,
            "| {} | {name} | {} | {levels} |",
            course.id.pid,
            state(course)
        )?;
    }
    if courses.len() > SHOWN_PROCESSES {
        writeln!(out, "\nand {} more processes", courses.len() - SHOWN_PROCESSES)?;
    }
    Ok(())
}

/// Text among other text: nothing in it is markup, a link, or a mention of somebody.
fn prose(text: &str) -> String {
    let mut escaped = String::new();
    for c in text::printable(text).chars() {
        match c {
            // A host of Markdown looks for mentions in what is left when markup is gone, and a comment is no text.
            '@' => escaped.push_str("@<!-- -->"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A name as code: between more backticks than it has in a row.
fn code(name: &str) -> String {
    let name = text::printable(name);
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let name = if name.trim().is_empty() {
        Cow::Borrowed("?")
    } else {
        name
    };
    if longest > 0 {
        format!("{fence} {name} {fence}")
    } else {
        format!("{fence}{name}{fence}")
    }
}

#[cfg(test)]
mod tests {
    use super::{code, prose};

    #[test]
    fn nothing_that_somebody_else_wrote_is_markup() {
        assert_eq!(
            prose("<img src=x> *a* [b](c) | # @team"),
            "\\<img src=x\\> \\*a\\* \\[b\\](c) \\| \\# @<!-- -->team"
        );
        assert_eq!(prose("a\nb"), "a\u{fffd}b");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code(""), "`?`");
    }
}
