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
use crate::model::finding::{Finding, Limit, Resource, SETTLING_SECONDS, Span, Verdict};

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
    /// Whether it is about limits at one moment, and not about what grows: an observation of nobody is never complete.
    pub fn is_instant(&self) -> bool {
        self.complete && self.targets.is_empty()
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
                0 if self.observed_seconds < f64::from(SETTLING_SECONDS) => {
                    format!("nothing leaks: {who} observed for {time}, too short to see growth")
                }
                0 => format!("nothing leaks: {who} observed for {time}"),
                growing => {
                    let findings = style::counted(growing, "finding", "findings");
                    format!("no leak found: {who} observed for {time}, {findings} to keep an eye on")
                }
            },
            0 if judged == 0 => "nothing can be said about leaks: too little was observed".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::{Document, Verdict, sample};

    fn summary(document: &Document) -> String {
        document.summary(Verdict::Leaking)
    }

    #[test]
    fn one_finding_is_not_many() {
        let mut document = sample::document();
        document.findings.remove(0);
        assert_eq!(
            summary(&document),
            "no leak found: 2 processes observed for 1m00s, 1 finding to keep an eye on"
        );
        document.findings.push(document.findings[0].clone());
        assert!(summary(&document).ends_with("2 findings to keep an eye on"));
    }

    #[test]
    fn who_saw_nothing_says_nothing_of_leaks_nor_of_limits() {
        let mut document = sample::incomplete();
        document.targets.clear();
        document.observed_seconds = 0.0;
        assert!(!document.is_instant());
        assert_eq!(
            summary(&document),
            "nothing can be said about leaks: too little was observed"
        );
        document.complete = true;
        assert!(document.is_instant(), "limits are asked for and need no process");
    }
}
