//! What is kept over a restart, of the agent or of what it watches.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::subject::SubjectKey;
use crate::model::finding::{Resource, Verdict};

/// Verdicts remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 512;

/// A verdict that outlives who made it and whom it was about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Whom it was about.
    pub subject: SubjectKey,
    /// What that ran: the build id of its executable, else its path.
    pub program: Option<Arc<str>>,
    /// What.
    pub resource: Resource,
    /// Which kind of it.
    pub kind: String,
    /// `suspected`, `leaking` or `recovered`.
    pub verdict: Verdict,
    /// Probability that it leaks, 0 to 1.
    pub confidence: f64,
    /// When it was first suspected, milliseconds since the epoch.
    pub since_unix_ms: Option<u64>,
    /// When this was last so, milliseconds since the epoch.
    pub last_unix_ms: u64,
}

/// Verdicts by subject, and by program for the next process that runs it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    by_subject: BTreeMap<(SubjectKey, Resource), Remembered>,
}

impl Memory {
    /// Keeps a verdict; of a subject and a resource the newest.
    pub(super) fn keep(&mut self, verdict: Remembered) {
        self.by_subject
            .insert((verdict.subject.clone(), verdict.resource), verdict);
        while self.by_subject.len() > MAX_REMEMBERED {
            let oldest = self
                .by_subject
                .iter()
                .min_by_key(|(key, of)| (of.last_unix_ms, *key));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.by_subject.remove(&key);
        }
    }

    /// The verdict on that very subject, which is live again.
    pub(super) fn take(&mut self, subject: &SubjectKey, resource: Resource) -> Option<Remembered> {
        self.by_subject.remove(&(subject.clone(), resource))
    }

    /// Another process of the same program that leaked this.
    pub(super) fn seen_before(&self, program: &str, resource: Resource) -> Option<&Remembered> {
        let same = |of: &&Remembered| {
            of.resource == resource
                && of.verdict == Verdict::Leaking
                && of.program.as_deref() == Some(program)
        };
        self.by_subject
            .values()
            .filter(same)
            .max_by_key(|of| of.last_unix_ms)
    }

    /// Everything, in a fixed order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.by_subject.values()
    }
}
