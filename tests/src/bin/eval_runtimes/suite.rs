//! Which programs run together, and one group after the other: first the programs, then leakwatch.

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::{
    finding::{Finding, Subject as About},
    snapshot::Snapshot,
};
use leakwatch_tests::{
    agent::Agent,
    container::{Bundle, Container},
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::{
    Args, interpreter,
    judge::{Row, Said},
    manifest::{self, Case, Manifest},
    program::{self, Form, Running, Subject},
};

/// Descriptors that each program may have: more than any leaks in the time, and as many as services often get.
const DESCRIPTORS: u64 = 16_384;
/// Programs run for so long before leakwatch does.
const BEFORE: Duration = Duration::from_secs(5);
/// How long the agent may take to be ready.
const READY: Duration = Duration::from_mins(1);
/// How often leakwatch is asked.
const ASK: Duration = Duration::from_secs(2);

/// Builds and runs what `args` ask for.
pub(crate) fn run(args: &Args, leakwatch: &Path) -> Result<Vec<Row>> {
    let limit = getrlimit(Resource::Nofile);
    let current = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    let dir = tempfile::tempdir()?;
    let subjects = subjects(args, dir.path())?;
    ensure!(!subjects.is_empty(), "no program is called that");
    let mut rows = Vec::new();
    for (index, group) in subjects.chunks(args.side_by_side.max(1)).enumerate() {
        eprintln!("group {}: {} programs, {}", index + 1, group.len(), args.duration);
        rows.extend(watch(args, leakwatch, group)?);
    }
    Ok(rows)
}

fn subjects(args: &Args, dir: &Path) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for manifest in manifest::all()? {
        let mut versions: Vec<(String, Option<std::path::PathBuf>)> = Vec::new();
        for of in &manifest.interpreters {
            match interpreter::find(of) {
                Some(path) => versions.push((of.version.clone(), Some(path))),
                None => eprintln!(
                    "SKIPPED: no {} {}: cargo xtask setup --tests",
                    manifest.runtime, of.version
                ),
            }
        }
        if manifest.interpreters.is_empty() {
            versions.push((String::new(), None));
        }
        let cases: Vec<&Case> = manifest
            .cases
            .iter()
            .filter(|case| case.healthy == args.healthy)
            .collect();
        if args.quick {
            versions.truncate(1);
        }
        let cases = if args.quick {
            &cases[..cases.len().min(1)]
        } else {
            &cases[..]
        };
        for (version, interpreter) in &versions {
            for case in cases {
                subjects.extend(forms(
                    args,
                    &manifest,
                    version,
                    interpreter.as_deref(),
                    case,
                    dir,
                )?);
            }
        }
    }
    Ok(subjects)
}

fn forms(
    args: &Args,
    manifest: &Manifest,
    version: &str,
    interpreter: Option<&Path>,
    case: &Case,
    dir: &Path,
) -> Result<Vec<Subject>> {
    let label = format!("{} {version} {}", manifest.runtime, case.name);
    let is_wanted = args.only.is_empty() || args.only.iter().any(|text| label.contains(text.as_str()));
    let is_for = case.versions.is_empty() || case.versions.iter().any(|of| of == version);
    if !is_wanted || !is_for {
        return Ok(Vec::new());
    }
    let forms: &[Form] = if case.healthy {
        &[Form::Healthy]
    } else {
        &[Form::Leaky, Form::Fixed]
    };
    eprintln!("building {label}");
    forms
        .iter()
        .map(|&form| {
            Subject::build(manifest, version, interpreter, case, form, dir).with_context(|| label.clone())
        })
        .collect()
}

/// Runs a group to its end.
fn watch(args: &Args, leakwatch: &Path, group: &[Subject]) -> Result<Vec<Row>> {
    let bundles: Vec<Bundle> = if args.container {
        let bundles = (1..).zip(group);
        bundles
            .map(|(number, subject)| program::bundle(number, subject, DESCRIPTORS))
            .collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    let containers = bundles.iter().map(Container::start);
    let containers = containers.collect::<Result<Vec<_>>>()?;
    let mut programs: Vec<Running> = if args.container {
        Vec::new()
    } else {
        group.iter().map(Running::start).collect::<Result<_>>()?
    };
    let pids: Vec<u32> = if args.container {
        containers.iter().map(Container::pid).collect::<Result<_>>()?
    } else {
        programs.iter().map(Running::pid).collect()
    };
    thread::sleep(BEFORE);
    let agent = Agent::start::<&str>(leakwatch, [], READY)?;
    let mut said = vec![Said::default(); group.len()];
    let begun = Instant::now();
    let mut ask = begun;
    while begun.elapsed() < Duration::from(args.duration) {
        let findings = by_process(agent.snapshot()?);
        for ((subject, said), pid) in group.iter().zip(&mut said).zip(&pids) {
            let findings = findings.get(pid).map_or(&[][..], Vec::as_slice);
            said.hear(subject, begun.elapsed(), findings);
        }
        ask += ASK;
        thread::sleep(ask.saturating_duration_since(Instant::now()));
    }
    let complaint = |runs: Result<()>| runs.err().map(|error| error.to_string());
    let broken: Vec<Option<String>> = if args.container {
        containers
            .iter()
            .map(|container| complaint(container.ensure_runs()))
            .collect()
    } else {
        programs
            .iter_mut()
            .map(|program| complaint(program.ensure_runs()))
            .collect()
    };
    drop(programs);
    drop(containers);
    agent.stop(Signal::TERM)?;
    let rows = group.iter().zip(said).zip(broken);
    Ok(rows
        .map(|((subject, said), broken)| Row {
            subject: subject.clone(),
            said,
            broken,
        })
        .collect())
}

/// Findings about processes, worst first.
fn by_process(snapshot: Snapshot) -> BTreeMap<u32, Vec<Finding>> {
    let mut found: BTreeMap<u32, Vec<Finding>> = BTreeMap::new();
    for finding in snapshot.findings {
        if finding.subject == About::Process {
            found.entry(finding.pid).or_default().push(finding);
        }
    }
    found
}
