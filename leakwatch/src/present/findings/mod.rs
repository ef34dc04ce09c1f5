//! What `leakwatch check` found, written out: for people, for programs, for CI. One writer per format.

mod github;
mod holder;
mod json;
mod junit;
mod limits;
mod sentence;
mod style;
mod text;

#[cfg(test)]
pub(crate) mod sample;

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    holder::{line as holder, top_holder},
    limits::near_limits,
    sentence::sentence,
    style::Style,
    text::{details, weight},
};
use crate::model::finding::{Finding, Limit, Resource, Span, Verdict};

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sentences with their evidence, for people.
    Text,
    /// The document itself (`docs/schema/findings.json`).
    Json,
    /// A test suite: one case per target and resource.
    Junit,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// What was seen in one observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FINDINGS_VERSION`](crate::model::finding::FINDINGS_VERSION) of the writer.
    pub schema_version: u32,
    /// Version of the leakwatch that wrote this.
    pub tool_version: String,
    /// Host name.
    pub host: String,
    /// When the last reading was made, milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Time between the first and the last reading.
    pub observed_seconds: f64,
    /// Whether everything was seen that had to be: without a finding, "no leak" may be concluded only if it was.
    pub complete: bool,
    /// What was not seen, and why.
    pub problems: Vec<String>,
    /// Who was watched, in ascending order of pid.
    pub targets: Vec<Target>,
    /// About them, worst first.
    pub findings: Vec<Finding>,
    /// Limits of them and of the host that are at least half used, fullest first.
    pub limits: Vec<NearLimit>,
}

/// A process that was watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Thread group id.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_time_ns: u64,
    /// Command name.
    pub process: String,
    /// Its container.
    pub container: Option<Arc<str>>,
    /// For how long.
    pub observed_seconds: f64,
    /// Whether there were readings enough to say something.
    pub judged: bool,
    /// Whether it ended before the observation did.
    pub ended: bool,
}

/// A limit that is at least half used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearLimit {
    /// The process, or of those that share the limit the one that holds most; `None` for a limit of the whole host.
    pub pid: Option<u32>,
    /// Its command name.
    pub process: Option<String>,
    /// Its container.
    pub container: Option<Arc<str>>,
    /// How many of the processes that were watched share the limit; 0 for the whole host.
    pub processes: u32,
    /// What is limited.
    pub resource: Resource,
    /// Which limit, and what counts against it.
    #[serde(flatten)]
    pub limit: Limit,
    /// When it is reached if all goes on as it does; `None` when that is not known, or never.
    pub seconds_to_limit: Option<Span>,
}

impl NearLimit {
    /// What is used of it, percent; 100 of a limit of 0.
    pub fn used_percent(&self) -> f64 {
        match self.limit.value {
            0 => 100.0,
            value => 100.0 * self.limit.in_use as f64 / value as f64,
        }
    }

    /// Whether it is nearly used up.
    pub fn is_critical(&self) -> bool {
        self.used_percent() >= CRITICAL_PERCENT
    }
}

/// From here on a limit is nearly used up.
pub const CRITICAL_PERCENT: f64 = 90.0;

impl Document {
    /// Whether it is about limits at one moment, and not about what grows.
    pub fn is_instant(&self) -> bool {
        self.observed_seconds <= 0.0
    }

    /// The findings that are as bad as `threshold`, or worse.
    pub fn failures(&self, threshold: Verdict) -> impl Iterator<Item = &Finding> {
        let fails = move |finding: &&Finding| finding.verdict >= threshold;
        self.findings.iter().filter(fails)
    }

    /// What came of it, in one line.
    pub fn summary(&self, threshold: Verdict) -> String {
        let judged = self.targets.iter().filter(|target| target.judged).count();
        let time = style::seconds(self.observed_seconds);
        let who = match (judged, self.targets.len()) {
            (judged, all) if judged == all => style::counted(all, "process", "processes"),
            (judged, all) => format!("{judged} of {all} processes"),
        };
        match self.failures(threshold).count() {
            0 if self.complete => match self.failures(Verdict::Growing).count() {
                0 => format!("nothing leaks: {who} observed for {time}"),
                growing => {
                    format!("no leak found: {who} observed for {time}, {growing} findings to keep an eye on")
                }
            },
            0 => format!("no leak seen, but not everything was observed: {who} for {time}"),
            1 => format!("1 leak: {who} observed for {time}"),
            many => format!("{many} leaks: {who} observed for {time}"),
        }
    }
}

/// Writes a document. Findings as bad as `threshold` are failures.
pub fn write(
    document: &Document,
    format: Format,
    threshold: Verdict,
    style: Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(document, threshold, style, out),
        Format::Json => json::write(document, out),
        Format::Junit => junit::write(document, threshold, out),
        Format::Github => github::write(document, threshold, out),
    }
}
