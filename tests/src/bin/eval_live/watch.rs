//! Programs side by side under one leakwatch.

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use leakwatch::model::finding::{Finding, Subject};
use leakwatch_tests::agent::Agent;
use rustix::process::Signal;
use serde::Deserialize;

use crate::{program::Running, timeline::Timeline};

/// How long the agent may take to be ready.
const READY: Duration = Duration::from_mins(1);
/// How often leakwatch is asked.
const ASK: Duration = Duration::from_secs(2);
/// How often `/proc` is.
const READ: Duration = Duration::from_secs(10);

/// The part of a snapshot that says what leaks.
#[derive(Deserialize)]
struct Answer {
    findings: Option<Vec<Finding>>,
}

/// A leakwatch that is asked again and again; without one only `/proc` is read.
pub(crate) struct Watcher(Option<Agent>);

impl Watcher {
    pub(crate) fn start(leakwatch: Option<&Path>) -> Result<Self> {
        let agent = leakwatch.map(|binary| Agent::start::<&str>(binary, [], READY));
        agent.transpose().map(Self)
    }

    /// Watches `programs` for `duration` and returns what was said about each, in their order.
    pub(crate) fn watch(&self, programs: &mut [Running], duration: Duration) -> Result<Vec<Timeline>> {
        let mut timelines = vec![Timeline::default(); programs.len()];
        let indices: BTreeMap<u32, usize> = programs.iter().map(Running::pid).zip(0..).collect();
        let begun = Instant::now();
        let (mut ask, mut read) = (begun, begun);
        while begun.elapsed() < duration {
            if read <= Instant::now() {
                read += READ;
                programs.iter_mut().try_for_each(Running::read)?;
            }
            for finding in self.findings()? {
                let Some(&index) = indices.get(&finding.pid) else {
                    continue;
                };
                if finding.subject == Subject::Process {
                    timelines[index].hear(programs[index].started.elapsed(), finding);
                }
            }
            ask += ASK;
            thread::sleep(ask.saturating_duration_since(Instant::now()));
        }
        Ok(timelines)
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        let Some(agent) = &self.0 else {
            return Ok(Vec::new());
        };
        let answer: Answer =
            serde_json::from_str(&agent.get("/api/v1/snapshot")?).context("not a snapshot")?;
        answer
            .findings
            .context("this leakwatch has no findings in its snapshot")
    }

    /// Ends the agent; it must do so cleanly.
    pub(crate) fn stop(self) -> Result<()> {
        self.0.map_or(Ok(()), |agent| agent.stop(Signal::TERM))
    }
}
