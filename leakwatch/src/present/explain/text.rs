//! For a terminal.

use std::io;

use super::{Difference, Explanation, apart, changed, is_compared, next_step::next_step, unread::unread};
use crate::model::{
    census::Answers,
    finding::{Finding, Resource},
    snapshot::{ProcessRow, SiteRow},
};
use crate::present::{
    census,
    fields::state_name,
    findings::{details, sentence},
    profile,
    report::recording::{level, signed},
    summary, text, units, words,
};

/// Rows of the books, and call sites, that are shown.
const SHOWN_ROWS: usize = 12;
const SHOWN_SITES: usize = 8;
/// Frames of a call site that are shown.
const SHOWN_FRAMES: usize = 6;

pub(super) fn write(explanation: &Explanation, ascii: bool, out: &mut dyn io::Write) -> io::Result<()> {
    for line in lines(explanation) {
        let line = text::printable(&line);
        let line = if ascii { text::ascii(&line) } else { line };
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = head(explanation);
    let mut section = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.push(String::new());
            lines.push(title.to_owned());
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    };
    section("Levels", levels(explanation));
    section("Findings", findings(&explanation.findings()));
    section("Books", books(explanation));
    section("Answers of its runtime, for which it acted", answers(explanation));
    section("Call sites, most still held first", sites(&explanation.process));
    section("Not known", unread(explanation));
    let next = next_step(explanation);
    section("Next", vec![next.command, format!("  {}", next.why)]);
    lines
}

/// Who it is.
pub(super) fn title(explanation: &Explanation) -> String {
    let process = &explanation.process;
    let host = explanation
        .snapshot()
        .map_or("-", |snapshot| snapshot.host.as_str());
    format!("{} (pid {}) on {host}", process.name, process.id.pid)
}

/// Label and value of what is known of it.
pub(super) fn identity(explanation: &Explanation) -> Vec<(&'static str, String)> {
    let process = &explanation.process;
    let now_ns = explanation.snapshot().map_or(0, |snapshot| snapshot.uptime_ns);
    let owned = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let runtimes = explanation.runtimes();
    let known = [
        ("state", Some(state_name(process.state).to_owned())),
        ("runtime", (!runtimes.is_empty()).then(|| runtimes.join(", "))),
        (
            "age",
            Some(units::duration(now_ns.saturating_sub(process.id.start_time_ns))),
        ),
        ("user", Some(process.user.to_string())),
        ("container", owned(&process.container_id)),
        ("unit", owned(&process.unit)),
        ("exe", owned(&process.exe)),
        ("command", owned(&process.cmdline)),
    ];
    known
        .into_iter()
        .filter_map(|(label, value)| Some((label, value?)))
        .collect()
}

fn head(explanation: &Explanation) -> Vec<String> {
    let observed = units::duration(explanation.recording.length_ns());
    let readings = explanation.recording.readings();
    let when = explanation
        .snapshot()
        .map_or_else(String::new, |snapshot| summary::time(snapshot.time_unix_ms));
    let mut lines = vec![
        title(explanation),
        format!("observed for {observed} until {when}, {readings} readings"),
    ];
    let entries = identity(explanation);
    lines.extend(
        entries
            .iter()
            .map(|(label, value)| format!("  {label:<10} {value}")),
    );
    lines
}

/// What is held of each resource, by how much that is more than at first, and the limit that is nearest.
fn levels(explanation: &Explanation) -> Vec<String> {
    let Some(course) = explanation.course() else {
        return Vec::new();
    };
    let of = |resource: Resource| {
        let limits = explanation.process.limits.iter();
        let limit = limits
            .filter(|limit| limit.resource == resource)
            .map(|used| &used.limit);
        let limit = limit
            .map(|limit| words::limit(resource, limit))
            .next()
            .unwrap_or_default();
        let rate = rate(&explanation.process, resource).unwrap_or_default();
        let held = level(course, resource);
        format!("{:<16} {held:<22} {rate:<14} {limit}", words::resource(resource))
    };
    Resource::ALL.map(of).to_vec()
}

/// How fast it grows.
pub(super) fn rate(process: &ProcessRow, resource: Resource) -> Option<String> {
    let growth = &process.growth;
    let slope = match resource {
        Resource::Memory => growth.memory_bytes_per_second,
        Resource::Fd => growth.fds_per_second,
        Resource::Thread => growth.threads_per_second,
        Resource::Maps => None,
    };
    Some(words::rate_of(resource, slope?))
}

fn findings(findings: &[&Finding]) -> Vec<String> {
    if findings.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut lines = Vec::new();
    for finding in findings {
        let exhausting = if finding.exhausting { " EXHAUSTING" } else { "" };
        lines.push(format!(
            "{}{exhausting}  {}",
            finding.verdict.name().to_uppercase(),
            sentence(finding)
        ));
        lines.extend(details(finding));
    }
    lines
}

fn books(explanation: &Explanation) -> Vec<String> {
    let Some(last) = &explanation.last_census else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for view in &last.views {
        let numbers = census::numbers(view);
        let numbers: Vec<String> = numbers
            .iter()
            .map(|(label, value)| format!("{label} {value}"))
            .collect();
        let title = census::title(view);
        lines.push(if numbers.is_empty() {
            title
        } else {
            format!("{title}: {}", numbers.join(", "))
        });
    }
    lines.extend(differences(
        &explanation.differences(),
        explanation.between_censuses(),
    ));
    lines
}

fn answers(explanation: &Explanation) -> Vec<String> {
    let Some(answers) = explanation.answers() else {
        return Vec::new();
    };
    let mut lines = vec![acted(answers)];
    lines.extend(differences(
        &changed(answers),
        apart(&answers.first, &answers.last),
    ));
    lines
}

/// What the process did, and for how long it was asked.
pub(super) fn acted(answers: &Answers) -> String {
    let title = answers.last.views.first().map(census::title).unwrap_or_default();
    let [first, last] =
        [&answers.first, &answers.last].map(|census| words::seconds(census.took_ns as f64 / 1e9));
    format!(
        "asked by --attach, {title} {}; it answered within {first} and {last}",
        answers.acts
    )
}

fn differences(differences: &[Difference], apart: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let compared = is_compared(apart);
    if compared && !differences.is_empty() {
        let apart = words::seconds(apart);
        lines.push(format!("what is held, and how much more than {apart} before:"));
    } else if !differences.is_empty() {
        lines.push("what is held:".to_owned());
    }
    lines.extend(differences.iter().take(SHOWN_ROWS).map(|of| {
        let change = if compared {
            format!("{:<16} ", changes(of))
        } else {
            String::new()
        };
        let things = census::things(of.counted, &of.name);
        format!("  {change}{:<24} {things} ({})", holds(of), of.runtime)
    }));
    if differences.len() > SHOWN_ROWS {
        lines.push(format!("  and {} more", differences.len() - SHOWN_ROWS));
    }
    lines
}

/// How many there are, and what they take.
pub(super) fn holds(of: &Difference) -> String {
    census::amount(of.count, of.bytes)
}

/// How many more, always signed.
pub(super) fn changes(of: &Difference) -> String {
    match of.more {
        Some(more) => signed(Resource::Thread, more),
        None => "-".to_owned(),
    }
}

fn sites(process: &ProcessRow) -> Vec<String> {
    let mut lines = Vec::new();
    // Where threads wait tells less than what was taken.
    let waits = |site: &&SiteRow| site.born == 0;
    let sites = process.sites.iter();
    let sites = sites
        .clone()
        .filter(|site| !waits(site))
        .chain(sites.filter(waits));
    for site in sites.take(SHOWN_SITES) {
        lines.push(format!("{} {}: {}", site.kind, function(site), held(site)));
        lines.extend(frames(site).into_iter().map(|frame| format!("    {frame}")));
    }
    if process.sites.len() > SHOWN_SITES {
        lines.push(format!("and {} more", process.sites.len() - SHOWN_SITES));
    }
    lines
}

/// The innermost frames; from the function to look at first on where a runtime has more of its own inside of that.
fn frames(site: &SiteRow) -> Vec<String> {
    let first = site
        .frames
        .iter()
        .position(|frame| frame.function == site.function);
    let left_out = first.filter(|&first| first >= SHOWN_FRAMES).unwrap_or(0);
    let shown = site.frames.iter().skip(left_out).take(SHOWN_FRAMES);
    let mut lines: Vec<String> = shown.map(profile::label).collect();
    if left_out > 0 {
        lines.insert(0, format!("({left_out} inside)"));
    }
    let outside = site.frames.len().saturating_sub(left_out + SHOWN_FRAMES);
    if outside > 0 {
        lines.push(format!("({outside} outside)"));
    }
    lines
}

/// The function to look at first.
pub(super) fn function(site: &SiteRow) -> &str {
    site.function.as_deref().unwrap_or("without a name")
}

/// What a site took, and what is still held of it.
pub(super) fn held(site: &SiteRow) -> String {
    let parts = [
        (site.born > 0).then(|| format!("{} taken", units::count(site.born))),
        site.live.map(|live| format!("{} held", units::count(live))),
        site.live_bytes.map(units::bytes),
        site.oldest_ns
            .map(|oldest| format!("the oldest for {}", units::duration(oldest))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
