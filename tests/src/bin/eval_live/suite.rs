//! Which programs run together, and one group after the other.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, ensure};
use leakwatch::model::health::FeedHealth;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Args,
    build::{self, Built},
    catalog::{CASES, Case},
    growth,
    program::{Form, Running},
    row::Row,
    watch::Watcher,
};

/// Descriptors that each program may have: more than any leaks in the time, and as many as services often get.
const DESCRIPTORS: u64 = 8_192;
/// Programs end by themselves this long after they would have been ended.
const SPARE: Duration = Duration::from_mins(1);

/// Everything that was run.
#[derive(Default)]
pub(crate) struct Suite {
    pub(crate) rows: Vec<Row>,
    /// What leakwatch saw of each group, by the number of its programs.
    pub(crate) feeds: Vec<(usize, FeedHealth)>,
    /// How long each healthy program was watched, in all.
    pub(crate) healthy: Duration,
}

/// Builds and runs the programs that `args` ask for.
pub(crate) fn run(args: &Args, leakwatch: Option<&Path>) -> Result<Suite> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(DESCRIPTORS),
            ..limit
        },
    )?;
    let dir = tempfile::tempdir()?;
    let cases = built(&wanted(args), dir.path())?;
    ensure!(!cases.is_empty(), "no program is called that");
    let forms: Vec<_> = cases
        .iter()
        .flat_map(|(case, built)| Form::of(case.role).iter().map(move |form| (case, built, *form)))
        .collect();
    let mut suite = Suite::default();
    let groups = forms.chunks(args.side_by_side.max(1));
    for (index, group) in groups.enumerate() {
        eprintln!("group {}: {} programs, {}", index + 1, group.len(), args.duration);
        let watcher = Watcher::start(leakwatch)?;
        let at_most = Duration::from(args.at_most).max(args.duration.into());
        let seconds = (at_most + SPARE).as_secs();
        let start = |&(case, built, form): &(&Case, &Built, Form)| {
            Running::start(*case, form, built, dir.path(), seconds)
        };
        let mut programs: Vec<Running> = group.iter().map(start).collect::<Result<_>>()?;
        let watched = watcher.watch(&mut programs, args.duration.into()..at_most)?;
        let healthy = group.iter().filter(|(.., form)| *form != Form::Leaky).count();
        suite.healthy += watched.duration * u32::try_from(healthy)?;
        let of = programs.iter().zip(&watched.timelines);
        suite
            .rows
            .extend(of.map(|(program, timeline)| Row::new(program, timeline)));
        suite
            .feeds
            .extend(watched.feed.map(|feed| (programs.len(), feed)));
        drop(programs);
        watcher.stop()?;
    }
    Ok(suite)
}

fn wanted(args: &Args) -> Vec<Case> {
    let named = |case: &Case| args.only.as_ref().is_none_or(|name| case.name.contains(name));
    let cases = CASES.iter().filter(|case| named(case));
    cases.filter(|case| !args.quick || case.quick).copied().collect()
}

/// Builds each program once, whatever the number of its rates.
fn built(cases: &[Case], dir: &Path) -> Result<Vec<(Case, Built)>> {
    let mut programs: BTreeMap<&str, Option<Built>> = BTreeMap::new();
    let mut built = Vec::new();
    for case in cases {
        if !programs.contains_key(case.name) {
            eprintln!("building {} ({})", case.name, case.language.name());
            programs.insert(case.name, build::build(case, dir)?);
        }
        built.extend(programs[case.name].clone().map(|program| (*case, program)));
    }
    Ok(built)
}

/// An error that names the programs whose two forms do not differ as they should.
pub(crate) fn ensure_pairs(rows: &[Row]) -> Result<()> {
    let mut not_pairs = Vec::new();
    for leaky in rows.iter().filter(|row| row.form == Form::Leaky) {
        let is_twin = |row: &&Row| {
            row.form == Form::Fixed && row.case.name == leaky.case.name && row.case.rate == leaky.case.rate
        };
        let growth = |row: &Row| row.growth;
        if let (Some(leaking), Some(fixed)) = (growth(leaky), rows.iter().find(is_twin).and_then(growth))
            && !growth::is_pair(leaking, fixed)
        {
            not_pairs.push(format!(
                "{} at {} requests a second: {leaking:.1} and {fixed:.1} a second",
                leaky.case.name, leaky.case.rate
            ));
        }
    }
    ensure!(
        not_pairs.is_empty(),
        "these do not leak in one form only:\n{}",
        not_pairs.join("\n")
    );
    Ok(())
}
