//! Threads that waited before the agent came are attributed by what they wait in, and none of them notices.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::ProcessRow;
use leakwatch_tests::{agent::Agent, binary, leaks, sites};
use rustix::process::Signal;

const WORKERS: u64 = 3_000;
const READERS: u64 = 1_000;

/// The kind of sites that say where threads wait.
const WAITING: &str = "waiting_thread";

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn blocked_threads_are_attributed_without_stopping_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("threads");
    if !leaks::c("threads.c", &program)? {
        return Ok(());
    }
    let mut waiting = Waiting::start(&program)?;
    let before = waiting.context_switches()?;

    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let started = Instant::now();
    let mut last = String::new();
    let attributed = sites::wait_for(PATIENCE, || {
        let snapshot = agent.snapshot_of(waiting.child.id())?;
        let row = sites::row(&snapshot, waiting.child.id()).context("the process is not in the snapshot")?;
        last = sites::describe(row, WAITING);
        let counts = (below(row, "leaked_worker"), below(row, "conn_reader"));
        Ok((counts == (WORKERS, READERS)).then_some(snapshot.health))
    })?;
    println!("{last}");
    let health = attributed.context("not attributed")?;
    println!(
        "attributed after {:?}; the last tick took {} s",
        started.elapsed(),
        health.agent.tick_seconds
    );
    let after = waiting.context_switches()?;
    let stall = waiting.end()?;
    println!("longest stall of a thread beside them: {stall:?}");
    // Who is stopped, or woken to be looked at, leaves the processor once more.
    ensure!(
        before == after,
        "the waiting threads ran: {before} context switches before, {after} after"
    );
    agent.stop(Signal::TERM)
}

/// Threads that wait below `routine`, at all sites.
fn below(row: &ProcessRow, routine: &str) -> u64 {
    row.sites
        .iter()
        .filter(|site| site.kind == WAITING)
        .filter(|site| {
            let mut functions = site.frames.iter().map(|frame| frame.function.as_deref());
            functions.any(|function| function == Some(routine))
        })
        .filter_map(|site| site.live)
        .sum()
}

/// `threads`, all of which wait; dropping it ends it.
struct Waiting {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Waiting {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args([WORKERS.to_string(), READERS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut waiting = Self { child, output };
        let line = waiting.line()?;
        ensure!(line == "ready", "threads said `{line}`");
        Ok(waiting)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// How often the waiting threads left the processor, together.
    fn context_switches(&self) -> Result<u64> {
        let pid = self.child.id();
        let mut switches = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            if task.file_name().to_str() == Some(&pid.to_string()) {
                continue;
            }
            let status = fs::read_to_string(task.path().join("status"))?;
            for line in status.lines() {
                if let Some((key, count)) = line.split_once(':')
                    && key.ends_with("voluntary_ctxt_switches")
                {
                    switches += count.trim().parse::<u64>()?;
                }
            }
        }
        Ok(switches)
    }

    /// Ends it and returns the longest stall that it measured.
    fn end(&mut self) -> Result<Duration> {
        drop(self.child.stdin.take());
        let line = self.line()?;
        Ok(Duration::from_nanos(line.parse().with_context(|| {
            format!("threads said `{line}` instead of a time")
        })?))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}
