//! A .NET program that is asked by `explain --attach` tells what it holds, by type, and goes on as before.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use leakwatch_tests::{
    binary, dotnet,
    subject::{Subject, ensure_close},
};
use serde_json::Value;

/// Of each type.
const HELD: u64 = 20_000;
const MORE: u64 = 5_000;
/// What the program keeps more and more of.
const LEAKED: &str = "Held+Session";
/// From when it is said that it is asked until it has answered, and until what was there for that has gone.
const ANSWERS: Duration = Duration::from_secs(5);
const SETTLES: Duration = Duration::from_secs(3);
/// The runtime ends workers that have had nothing to do for 20 s; what compiles methods anew is one.
const WORKERS_END: Duration = Duration::from_secs(40);

#[test]
fn answers_are_what_the_program_holds() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(mut program) = dotnet::program("Held.cs", dir.path())? else {
        return Ok(());
    };
    let mut subject = Subject::start_ready(program.arg(HELD.to_string()))?;
    // Console and its thread are there from the first question on.
    ensure!(subject.ask::<u64>("0")? == HELD);
    // As if it were left of a process that had this pid.
    let other = Path::new("/tmp").join(format!("dotnet-diagnostic-{}-0-socket", subject.pid()));
    let listener = UnixListener::bind(&other)?;
    let descriptors = numbers(subject.pid(), "fd")?;
    let threads = numbers(subject.pid(), "task")?;

    let explain = Explain::begin(subject.pid())?;
    sleep(ANSWERS);
    ensure!(subject.ask::<u64>(&MORE.to_string())? == HELD + MORE);
    let document = explain.end()?;
    drop(listener);
    fs::remove_file(other)?;

    let answers = &document["answers"];
    ensure!(answers["runtime"] == "dotnet", "{document:#}");
    let differences = answers["differences"].as_array().context("no differences")?;
    let first = differences.first().context("nothing became more")?;
    ensure!(first["name"] == LEAKED, "{answers:#}");
    for (name, of_each, bytes) in [
        (LEAKED, 1, 56),
        ("Shelf`1+Slot", 2, 24),
        ("Held+Session[][]", 1, 24 + 2 * 8),
        ("Price[]", 1, 24 + 3 * 16),
    ] {
        let mut rows = differences.iter();
        let row = rows.find(|row| row["name"] == name);
        let row = row.with_context(|| format!("no {name}: {answers:#}"))?;
        let more = if name == LEAKED { MORE } else { 0 };
        let count = of_each * HELD + more;
        ensure_close(name, row["count"].as_u64().unwrap_or(0), count)?;
        ensure_close(name, row["bytes"].as_u64().unwrap_or(0), count * bytes)?;
        let seen = row["more"].as_i64().context("it is new")?.unsigned_abs();
        ensure!(seen.abs_diff(more) <= MORE / 50, "{name}: {seen} more");
    }
    let unread = document["unread"].as_array().context("no list")?;
    let is_of_answer = |line: &Value| line.as_str().is_some_and(|line| line.contains("--attach"));
    ensure!(!unread.iter().any(is_of_answer), "{unread:?}");

    sleep(SETTLES);
    let open = numbers(subject.pid(), "fd")?;
    ensure!(open == descriptors, "{descriptors:?} and then {open:?}");
    let began = Instant::now();
    let mut running = numbers(subject.pid(), "task")?;
    while !running.is_subset(&threads) && began.elapsed() < WORKERS_END {
        sleep(SETTLES);
        running = numbers(subject.pid(), "task")?;
    }
    ensure!(running.is_subset(&threads), "{threads:?} and then {running:?}");
    ensure!(subject.ask::<u64>("0")? == HELD + MORE);
    println!("{first}; answered within {} s", answers["took_seconds"]);
    Ok(())
}

/// Descriptors or threads of a process.
fn numbers(pid: u32, what: &str) -> Result<BTreeSet<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/{what}"))?;
    let numbers = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().parse()?));
    numbers.collect()
}

/// `leakwatch explain --attach` while it runs.
struct Explain {
    child: Child,
    /// Kept open: it may have more to say.
    errors: BufReader<ChildStderr>,
}

impl Explain {
    /// Comes back when it has said what the process will do.
    fn begin(pid: u32) -> Result<Self> {
        let mut child = Command::new(binary::leakwatch()?)
            .args(["explain", "--attach", "--duration", "10s", "-o", "json", "-p"])
            .arg(pid.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut explain = Self { child, errors };
        let mut line = String::new();
        while explain.errors.read_line(&mut line)? > 0 {
            if line.contains("--attach acts on process") {
                return Ok(explain);
            }
        }
        bail!("it does not say what the process will do: {line}")
    }

    fn end(mut self) -> Result<Value> {
        let output = self.child.stdout.take().context("no standard output")?;
        let document = serde_json::from_reader(output)?;
        ensure!(self.child.wait()?.success());
        Ok(document)
    }
}

impl Drop for Explain {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}
