//! `leakwatch doctor`: why leakwatch works here, or does not.
//!
//! [`facts`] reads the host once; every check classifies those facts and what became of the probes, which were really
//! loaded and attached. Nothing is concluded from a version where trying says more.

pub mod advice;
mod btf;
mod capabilities;
mod confinement;
mod facts;
mod kernel_version;
mod limits;
mod outcome;
mod probes;
pub mod report;
mod surroundings;
mod view;

use serde::Serialize;

pub use self::probes::ProbeCheck;
use self::{facts::Facts, outcome::Outcome};
use crate::kernel::{self, LoadOptions};

/// Raised when a field of the JSON document changes its meaning or goes away, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// As it should be.
    Pass,
    /// leakwatch runs, and something of what it shows is missing or dearer.
    Warn,
    /// leakwatch cannot run, and this is why or part of why.
    Fail,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at; stable, for programs.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What is not seen because of it.
    pub lost: Option<String>,
    /// One command or setting that changes it.
    pub fix: Option<String>,
}

impl Check {
    fn pass(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Pass,
            found: found.into(),
            lost: None,
            fix: None,
        }
    }

    fn problem(
        name: &'static str,
        status: Status,
        found: impl Into<String>,
        lost: &str,
        fix: Option<String>,
    ) -> Self {
        Self {
            name,
            status,
            found: found.into(),
            lost: Some(lost.to_owned()),
            fix,
        }
    }
}

/// The checks taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that leakwatch can show is shown.
    Ok,
    /// It runs, and something is missing.
    Degraded,
    /// It cannot say anything on this host as it was started.
    CannotRun,
}

/// What was found on this host.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    schema_version: u32,
    tool_version: &'static str,
    kernel: String,
    arch: String,
    checks: Vec<Check>,
    probes: Vec<ProbeCheck>,
    verdict: Verdict,
}

impl Examination {
    /// The checks taken together.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn new(facts: &Facts, outcome: &Outcome) -> Self {
        let mut checks = vec![kernel_version::check(facts), btf::check(facts, outcome)];
        checks.extend(capabilities::checks(facts, outcome));
        checks.extend(confinement::checks(facts, outcome));
        checks.extend(limits::checks(facts, outcome));
        checks.extend(view::checks(facts));
        checks.push(outcome.check(facts));
        let probes = probes::checks(facts, outcome);
        let worst = checks
            .iter()
            .map(|check| check.status)
            .chain(probes.iter().map(|probe| probe.status))
            .max();
        Self {
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION"),
            kernel: facts.release.clone(),
            arch: facts.arch.clone(),
            checks,
            probes,
            verdict: match worst {
                Some(Status::Fail) => Verdict::CannotRun,
                Some(Status::Warn) => Verdict::Degraded,
                Some(Status::Pass) | None => Verdict::Ok,
            },
        }
    }
}

/// Looks at this host, and loads, attaches and detaches every probe.
pub fn examine() -> Examination {
    let facts = Facts::read();
    let outcome = Outcome::from(kernel::probe_each(&LoadOptions::default()));
    Examination::new(&facts, &outcome)
}
