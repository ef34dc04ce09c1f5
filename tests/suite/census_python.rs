//! Objects by type, as they are read from memory, against what Python says itself; and what its requests notice of it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use leakwatch::model::census::{Census, Counted, RuntimeView};
use leakwatch_tests::{binary, python};
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
    let (mut program, counts) = Program::start(interpreter)?;
    let census = program.census()?;
    let view = view(&census)?;
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
        ensure!(
            row.count.abs_diff(count) * 50 <= count,
            "{} {name} were counted, and Python has {count}",
            row.count
        );
    }
    for name in ["Session", "Point", "list"] {
        ensure!(counts.get(name).is_some_and(|&count| count >= MANY), "{counts:?}");
    }
    program.report(version, &census, view)
}

fn view(census: &Census) -> Result<&RuntimeView> {
    let mut views = census.views.iter();
    views
        .find(|view| view.runtime == "python")
        .context("the census has no view of Python")
}

/// What the program says of one phase.
#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p50_us: f64,
    p99_us: f64,
}

/// `objects.py`; dropping it ends it.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Also what its collector tracks, by type.
    fn start(interpreter: &Path) -> Result<(Self, BTreeMap<String, u64>)> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/runtimes/python/objects.py");
        let mut child = Command::new(interpreter)
            .args([source, &SESSIONS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("its input is piped")?;
        let output = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut program = Self { child, input, output };
        let counts = serde_json::from_str(&program.line()?)?;
        Ok((program, counts))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the program ended: {:?}", self.child.wait()?);
        }
        Ok(line)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn census(&self) -> Result<Census> {
        let census = binary::stdout(&binary::census()?, [self.child.id().to_string()])?;
        Ok(serde_json::from_slice(&census)?)
    }

    /// Writes what the census cost, and what requests noticed of it.
    fn report(&mut self, version: &str, census: &Census, view: &RuntimeView) -> Result<()> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
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
        self.say("")?;
        self.say("before")?;
        thread::sleep(PHASE);
        self.say("during")?;
        let mut censuses = 0;
        let began = std::time::Instant::now();
        while began.elapsed() < PHASE {
            self.census()?;
            censuses += 1;
        }
        self.say("after")?;
        thread::sleep(PHASE);
        self.say("end")?;
        let phases: BTreeMap<String, Latency> = serde_json::from_str(&self.line()?)?;
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
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
