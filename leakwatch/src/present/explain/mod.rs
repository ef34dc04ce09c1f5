//! One process, explained on one page: who it is, what it holds, what is found and why, what its runtimes have on their books,
//! what is not known, and what to do next. One writer per format.

mod difference;
mod html;
mod json;
mod next_step;
mod text;
mod unread;

use std::{io, sync::Arc};

pub use self::{difference::Difference, next_step::NextStep};
use crate::model::{
    census::{Answers, Census, MAX_ROWS},
    finding::Finding,
    identity::ProcessId,
    snapshot::{ProcessRow, Snapshot},
};
use crate::present::{
    census,
    recording::{Course, Recording},
};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For programs (`docs/schema/explain.json`).
    Json,
    /// One file for a browser, which needs nothing else.
    Html,
}

/// What was seen of one process, snapshot by snapshot.
#[derive(Clone, Debug)]
pub struct Explanation {
    id: ProcessId,
    process: ProcessRow,
    recording: Recording,
    first_census: Option<Arc<Census>>,
    last_census: Option<Arc<Census>>,
    /// What its runtime answered when it was asked, or why it did not.
    answers: Option<Result<Answers, String>>,
    ended: bool,
}

impl Explanation {
    /// Begins with the first snapshot; `None` when the process is not in it.
    pub fn begin(pid: u32, snapshot: &Snapshot) -> Option<Self> {
        let process = snapshot.processes.iter().find(|process| process.id.pid == pid)?;
        let mut explanation = Self {
            id: process.id,
            process: process.clone(),
            recording: Recording::default(),
            first_census: None,
            last_census: None,
            answers: None,
            ended: false,
        };
        explanation.add(snapshot);
        Some(explanation)
    }

    /// Adds the next one; says whether the process is still there.
    pub fn add(&mut self, snapshot: &Snapshot) -> bool {
        let Some(process) = snapshot.processes.iter().find(|process| process.id == self.id) else {
            self.ended = true;
            return false;
        };
        self.process = process.clone();
        if let Some(census) = &process.census {
            self.first_census.get_or_insert_with(|| Arc::clone(census));
            self.last_census = Some(Arc::clone(census));
        }
        self.recording.add(Snapshot {
            processes: vec![process.clone()],
            findings: snapshot.findings_about(self.id).cloned().collect(),
            schema_version: snapshot.schema_version,
            tool_version: snapshot.tool_version.clone(),
            host: snapshot.host.clone(),
            time_unix_ms: snapshot.time_unix_ms,
            uptime_ns: snapshot.uptime_ns,
            health: snapshot.health.clone(),
            host_limits: snapshot.host_limits.clone(),
        });
        true
    }

    /// Adds what its runtime answered when it was asked, or why there is no answer.
    pub fn answered(&mut self, answers: Result<Answers, String>) {
        self.answers = Some(answers);
    }

    /// Whether every frame that is shown has a name, or a reason for none.
    pub fn has_names(&self) -> bool {
        crate::present::profile::is_settled(&self.process)
    }

    fn findings(&self) -> Vec<&Finding> {
        self.recording.findings()
    }

    fn course(&self) -> Option<&Course> {
        self.recording.course(self.id)
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.recording.last()
    }

    fn differences(&self) -> Vec<Difference> {
        match (&self.first_census, &self.last_census) {
            (Some(first), Some(last)) => difference::between(first, last, MAX_ROWS),
            _ => Vec::new(),
        }
    }

    fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()?.as_ref().ok()
    }

    /// Seconds between the first census and the last.
    fn between_censuses(&self) -> f64 {
        let [first, last] = [&self.first_census, &self.last_census].map(|census| census.as_ref());
        first.zip(last).map_or(0.0, |(first, last)| apart(first, last))
    }

    /// Runtimes and allocators by name and version: those whose books are known, else what its files say.
    fn runtimes(&self) -> Vec<String> {
        let views = self.last_census.iter().flat_map(|census| &census.views);
        let mut names: Vec<String> = views.map(census::title).collect();
        let process = &self.process;
        if let Some(runtime) = &process.runtime
            && !names.iter().any(|name| name.starts_with(&**runtime))
        {
            let name = match &process.runtime_version {
                Some(version) => format!("{runtime} {version}"),
                None => runtime.to_string(),
            };
            names.insert(0, name);
        }
        if self.last_census.is_none() {
            names.extend(process.allocator.iter().map(ToString::to_string));
        }
        names
    }
}

/// Seconds between two of them.
fn apart(first: &Census, last: &Census) -> f64 {
    last.taken_ns.saturating_sub(first.taken_ns) as f64 / 1e9
}

/// Whether there was more than one: one alone says nothing of what became more.
fn is_compared(apart: f64) -> bool {
    apart > 0.0
}

/// What a runtime answered holds, and how much more than it answered before.
fn changed(answers: &Answers) -> Vec<Difference> {
    difference::between(&answers.first, &answers.last, usize::MAX)
}

/// Writes the page. With `ascii`, text has nothing outside ASCII.
///
/// # Errors
/// What the writer says.
pub fn write(
    explanation: &Explanation,
    format: Format,
    ascii: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(explanation, ascii, out),
        Format::Json => json::write(explanation, out),
        Format::Html => html::write(explanation, out),
    }
}

#[cfg(test)]
mod tests;
