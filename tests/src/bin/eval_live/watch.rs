//! Programs side by side under one leakwatch.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use leakwatch::model::{
    finding::{Finding, Subject},
    health::{FeedHealth, Health},
};
use leakwatch_tests::agent::Agent;
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    judge::{self, Outcome},
    program::Running,
    timeline::Timeline,
};

/// How long the agent may take to be ready.
const READY: Duration = Duration::from_mins(1);
/// How often leakwatch is asked.
const ASK: Duration = Duration::from_secs(2);
/// How often `/proc` is.
const READ: Duration = Duration::from_secs(10);

/// The part of a snapshot that says what leaks, and how well leakwatch sees.
#[derive(Deserialize)]
struct Answer {
    findings: Option<Vec<Finding>>,
    health: Health,
}

/// What came of watching a group of programs.
pub(crate) struct Watched {
    /// What was said about each program, in their order.
    pub(crate) timelines: Vec<Timeline>,
    /// What leakwatch saw until then; `None` without one.
    pub(crate) feed: Option<FeedHealth>,
    /// For how long.
    pub(crate) duration: Duration,
}

/// Whether something would fail the run that is missed, and may still be found.
fn is_too_early(programs: &[Running], timelines: &[Timeline]) -> bool {
    programs.iter().zip(timelines).any(|(program, timeline)| {
        let said = judge::decisive(program.case.role, program.form, timeline);
        let outcome = judge::outcome(program.form, said);
        outcome == Outcome::Missed && judge::fails(program.case.role, outcome)
    })
}

/// A leakwatch that is asked again and again; without one only `/proc` is read.
pub(crate) struct Watcher(Option<Agent>);

impl Watcher {
    pub(crate) fn start(leakwatch: Option<&Path>) -> Result<Self> {
        let agent = leakwatch.map(|binary| Agent::start::<&str>(binary, [], READY));
        agent.transpose().map(Self)
    }

    /// Watches `programs` for the shorter of two times, and up to the longer one as long as a leak is not suspected that has
    /// to be: a busy machine makes leakwatch late, and what is wrong stays wrong.
    pub(crate) fn watch(&self, programs: &mut [Running], times: Range<Duration>) -> Result<Watched> {
        let mut feed = None;
        let mut timelines = vec![Timeline::default(); programs.len()];
        let indices: BTreeMap<u32, usize> = programs.iter().map(Running::pid).zip(0..).collect();
        let begun = Instant::now();
        let (mut ask, mut read) = (begun, begun);
        while begun.elapsed() < times.start
            || begun.elapsed() < times.end && self.0.is_some() && is_too_early(programs, &timelines)
        {
            if read <= Instant::now() {
                read += READ;
                programs.iter_mut().try_for_each(Running::read)?;
            }
            let (findings, health) = self.ask()?;
            feed = health.or(feed);
            for finding in findings {
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
        Ok(Watched {
            timelines,
            feed,
            duration: begun.elapsed(),
        })
    }

    fn ask(&self) -> Result<(Vec<Finding>, Option<FeedHealth>)> {
        let Some(agent) = &self.0 else {
            return Ok((Vec::new(), None));
        };
        let answer: Answer =
            serde_json::from_str(&agent.get("/api/v1/snapshot")?).context("not a snapshot")?;
        let findings = answer
            .findings
            .context("this leakwatch has no findings in its snapshot")?;
        Ok((findings, Some(answer.health.feed)))
    }

    /// Ends the agent; it must do so cleanly.
    pub(crate) fn stop(self) -> Result<()> {
        self.0.map_or(Ok(()), |agent| agent.stop(Signal::TERM))
    }
}
