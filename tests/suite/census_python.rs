//! Objects by type, as they are read from memory, against what Python says itself; and what its requests notice of it.

use std::{collections::BTreeMap, fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, Counted, RuntimeView};
use leakwatch_tests::{
    leaks, python,
    subject::{Subject, ensure_close, view},
};
use serde::Deserialize;

const VERSIONS: &[&str] = &["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"];
/// Sessions that the program makes, with about three objects each.
const SESSIONS: u32 = 400_000;
/// Types with fewer objects are not compared: a census makes none, but what the program writes its answer with does.
const MANY: u64 = 500;
const PHASE: Duration = Duration::from_secs(3);

#[test]
fn objects_by_type_are_those_that_python_counts() -> Result<()> {
    let mut compared = 0;
    for version in VERSIONS {
        let Some(interpreter) = python::interpreter(version) else {
            println!("no python{version} here");
            continue;
        };
        compare(version, &interpreter).with_context(|| format!("python{version}"))?;
        compared += 1;
    }
    ensure!(
        compared > 0,
        "no interpreter of any of these versions: {VERSIONS:?}"
    );
    Ok(())
}

fn compare(version: &str, interpreter: &Path) -> Result<()> {
    let (mut program, counts) = start(interpreter)?;
    let census = program.census()?;
    let view = view(&census, "python")?;
    ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    let is_of_it = |found: &str| found == version || found.starts_with(&format!("{version}."));
    ensure!(
        view.version.as_deref().is_some_and(is_of_it),
        "{:?}",
        view.version
    );
    for (name, &count) in counts.iter().filter(|(_, count)| **count >= MANY) {
        let row = view
            .rows
            .iter()
            .find(|row| row.counted == Counted::Type && row.name == *name);
        // The rows that hold least are left out.
        let Some(row) = row else {
            ensure!(count < u64::from(SESSIONS) / 8, "no row for {count} of {name}");
            continue;
        };
        ensure_close(name, row.count, count)?;
    }
    for name in ["Session", "Point", "list"] {
        ensure!(counts.get(name).is_some_and(|&count| count >= MANY), "{counts:?}");
    }
    report(&mut program, version, &census, view)
}

/// What the program says of one phase.
#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p50_us: f64,
    p99_us: f64,
}

/// `objects.py`, and what its collector tracks, by type.
fn start(interpreter: &Path) -> Result<(Subject, BTreeMap<String, u64>)> {
    let source = leaks::path("runtimes/python/objects.py");
    let mut program = Subject::start(Command::new(interpreter).arg(source).arg(SESSIONS.to_string()))?;
    let counts = program.answer()?;
    Ok((program, counts))
}

/// Writes what the census cost, and what requests noticed of it.
fn report(program: &mut Subject, version: &str, census: &Census, view: &RuntimeView) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", program.pid()))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let rss: f64 = rss
        .and_then(|rss| rss.split_ascii_whitespace().next()?.parse().ok())
        .context("no RssAnon")?;
    let tracked = view
        .counters
        .iter()
        .find(|counter| counter.name == "tracked_objects");
    let millions = tracked.context("no number of objects")?.value as f64 / 1e6;
    let seconds = census.took_ns as f64 / 1e9;
    println!(
        "python{version}: {millions:.2} million objects in {seconds:.2} s, {:.2} s a million, {:.2} s a GiB; {} MiB read",
        seconds / millions,
        seconds / (rss / f64::from(1 << 20)),
        census.read_bytes >> 20,
    );
    program.say("")?;
    program.say("before")?;
    thread::sleep(PHASE);
    program.say("during")?;
    let mut censuses = 0;
    let began = std::time::Instant::now();
    while began.elapsed() < PHASE {
        program.census()?;
        censuses += 1;
    }
    program.say("after")?;
    thread::sleep(PHASE);
    program.say("end")?;
    let phases: BTreeMap<String, Latency> = program.answer()?;
    for name in ["before", "during", "after"] {
        let phase = phases.get(name).with_context(|| format!("no phase {name}"))?;
        println!(
            "  {name}: p50 {:.0} us, p99 {:.0} us of {} requests",
            phase.p50_us, phase.p99_us, phase.requests
        );
    }
    println!("  {censuses} censuses meanwhile");
    Ok(())
}
