//! `leakwatch trace` names the function that leaks among a hundred times as many allocations that do not, whatever the allocator,
//! and leaves nothing behind.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use leakwatch::model::trace::TraceReport;
use leakwatch_tests::{
    binary,
    leaks::{self, Leak},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Rounds a second of `tests/programs/allocations.c`, and what each leaks and frees again.
const ROUNDS: u32 = 100;
const LEAKED: f64 = 4.0;
const FREED: f64 = 100.0;
/// What it leaks them from, and how much each time.
const LEAKING: &str = "leak_session";
const LEAKED_BYTES: f64 = 256.0;

/// How long traces of the suite observe.
const SECONDS: u32 = 6;
/// How long a trace may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Could not observe.
const UNOBSERVED: i32 = 3;

#[test]
fn the_leak_comes_first_on_glibc() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    let target = built.start(ROUNDS, None)?;
    let report = report(&trace(target.pid(), &["--duration", &SECONDS.to_string()])?)?;
    ensure!(report.allocator.contains("libc"), "{}", report.allocator);
    leak_is_first(&report)?;

    let suspect = &report.suspects[0];
    let seconds = report.observed_ns as f64 / 1e9;
    let rounds = f64::from(ROUNDS) * seconds;
    // 75 samples, and half of them old: the tolerances are four standard deviations.
    close(suspect.live as f64, rounds * LEAKED, 0.5, "live")?;
    close(
        suspect.live_bytes as f64,
        rounds * LEAKED * LEAKED_BYTES,
        0.4,
        "bytes",
    )?;
    close(suspect.old as f64, rounds * LEAKED / 2.0, 0.7, "old")?;
    let churn = report
        .others
        .iter()
        .find(|site| site.function.as_deref() == Some("churn_request"))
        .context("churn_request allocates most")?;
    close(churn.born as f64, rounds * FREED, 0.2, "churn")?;
    ensure!(
        churn.live_bytes < suspect.live_bytes,
        "churn_request keeps {} bytes",
        churn.live_bytes
    );
    ensure!(
        report.ended_early.is_none() && report.cost.predicted_percent > 0.0,
        "{report:?}"
    );
    untouched(target.pid())
}

#[test]
fn the_leak_comes_first_with_threads() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    let mut command = Command::new(&built.program);
    let target = Leak::start(command.args([&ROUNDS.to_string(), "8"]))?;
    let report = report(&trace(
        target.pid(),
        &["--force", "--duration", &SECONDS.to_string()],
    )?)?;
    leak_is_first(&report)?;
    let leaked = 8.0 * f64::from(ROUNDS) * LEAKED * report.observed_ns as f64 / 1e9;
    close(report.suspects[0].live as f64, leaked, 0.5, "live")
}

#[test]
fn the_leak_comes_first_on_other_allocators() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    for (library, package) in [
        ("libjemalloc.so.2", "libjemalloc2"),
        ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
        ("libmimalloc.so.2.0", "libmimalloc2.0"),
    ] {
        let Some(library) = self::library(library, package)? else {
            continue;
        };
        let target = built.start(ROUNDS, Some(&library))?;
        let report = report(&trace(
            target.pid(),
            &["--force", "--duration", &SECONDS.to_string()],
        )?)?;
        println!("{}: {:?}", report.allocator, report.cost);
        ensure!(
            library.ends_with(Path::new(&report.allocator).file_name().context("no name")?)
                || fs::canonicalize(&library)? == Path::new(&report.allocator),
            "{} instead of {}",
            report.allocator,
            library.display()
        );
        leak_is_first(&report).with_context(|| library.display().to_string())?;
        untouched(target.pid())?;
    }
    Ok(())
}

#[test]
fn the_leak_comes_first_in_a_static_program() -> Result<()> {
    let Some(built) = Built::new(leaks::musl)? else {
        return Ok(());
    };
    let target = built.start(ROUNDS, None)?;
    let report = report(&trace(
        target.pid(),
        &["--force", "--duration", &SECONDS.to_string()],
    )?)?;
    leak_is_first(&report)?;
    untouched(target.pid())?;

    drop(target);
    ensure!(
        Command::new("strip").arg(&built.program).status()?.success(),
        "strip failed"
    );
    let target = built.start(ROUNDS, None)?;
    let output = trace(target.pid(), &[])?;
    refused(&output, &["no allocator found", "stripped"])
}

#[test]
fn what_costs_too_much_is_not_done() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    let target = built.start(0, None)?;
    let output = trace(target.pid(), &["--budget", "1"])?;
    refused(&output, &["more than the budget of 1 %", "--force"])?;
    untouched(target.pid())
}

#[test]
fn what_was_seen_is_reported_when_the_process_ends_or_somebody_has_seen_enough() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    let target = built.start(ROUNDS, None)?;
    let tracing = Tracing::start(target.pid())?;
    thread::sleep(Duration::from_secs(3));
    drop(target);
    let report = tracing.report()?;
    ensure!(
        report.ended_early.as_deref() == Some("the process has ended"),
        "{:?}",
        report.ended_early
    );
    leak_is_first(&report)?;

    let target = built.start(ROUNDS, None)?;
    let tracing = Tracing::start(target.pid())?;
    thread::sleep(Duration::from_secs(3));
    tracing.signal(Signal::INT)?;
    let report = tracing.report()?;
    ensure!(
        report.ended_early.as_deref() == Some("it was interrupted"),
        "{:?}",
        report.ended_early
    );
    leak_is_first(&report)?;
    untouched(target.pid())
}

#[test]
fn nothing_remains_of_a_trace_that_is_killed() -> Result<()> {
    let Some(built) = Built::new(leaks::c)? else {
        return Ok(());
    };
    let target = built.start(ROUNDS, None)?;
    let tracing = Tracing::start(target.pid())?;
    ensure!(
        changed(target.pid())? > 0,
        "a trace that runs shows in the process's code"
    );
    tracing.signal(Signal::KILL)?;
    drop(tracing);
    let deadline = Instant::now() + PATIENCE;
    while changed(target.pid())? > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    untouched(target.pid())
}

#[test]
fn go_programs_are_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("leak");
    if !leaks::go("leak.go", &program)? {
        return Ok(());
    }
    let target = Leak::of(&program, leaks::Mode::Fd, 1, PATIENCE)?;
    refused(&trace(target.pid(), &[])?, &["is a Go program", "pprof"])
}

#[test]
fn a_process_that_is_not_there_is_named() -> Result<()> {
    // Above any number that the kernel gives out (PID_MAX_LIMIT).
    refused(&trace(4_194_305, &[])?, &["process 4194305", "it has ended"])
}

/// The program, and where it is.
struct Built {
    program: PathBuf,
    _dir: TempDir,
}

impl Built {
    fn new(compiler: fn(&str, &Path) -> Result<bool>) -> Result<Option<Self>> {
        let dir = tempfile::tempdir()?;
        let program = dir.path().join("allocations");
        Ok(compiler("allocations.c", &program)?.then_some(Self { program, _dir: dir }))
    }

    fn start(&self, rounds: u32, preload: Option<&Path>) -> Result<Leak> {
        let mut command = Command::new(&self.program);
        command.arg(rounds.to_string());
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let target = Leak::start(&mut command)?;
        // Until it allocates.
        thread::sleep(Duration::from_millis(300));
        Ok(target)
    }
}

/// A trace that runs beside the test.
struct Tracing {
    child: Child,
}

impl Tracing {
    /// Returns when the probes are attached.
    fn start(pid: u32) -> Result<Self> {
        let child = Command::new(binary::leakwatch()?)
            .args([
                "trace",
                "-o",
                "json",
                "--duration",
                "60",
                "--pid",
                &pid.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()?;
        let tracing = Self { child };
        let deadline = Instant::now() + PATIENCE;
        // Calls are counted first, with breakpoints that go again; those of the trace stay.
        let mut seen = 0;
        while seen < 20 {
            ensure!(Instant::now() < deadline, "no trace after {PATIENCE:?}");
            seen = if changed(pid)? > 0 { seen + 1 } else { 0 };
            thread::sleep(Duration::from_millis(50));
        }
        Ok(tracing)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("pid 0")?;
        Ok(kill_process(pid, signal)?)
    }

    fn report(mut self) -> Result<TraceReport> {
        let mut text = String::new();
        let mut stdout = self.child.stdout.take().context("no pipe")?;
        stdout.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "ended with {status}");
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

fn trace(pid: u32, arguments: &[&str]) -> Result<Output> {
    let pid = pid.to_string();
    let fixed = ["trace", "-o", "json", "--pid", &pid];
    binary::run(&binary::leakwatch()?, fixed.iter().chain(arguments))
}

fn report(output: &Output) -> Result<TraceReport> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {said}", output.status);
    println!("{said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn refused(output: &Output, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(UNOBSERVED) && output.stdout.is_empty(),
        "ended with {}: {said}",
        output.status
    );
    for word in words {
        ensure!(said.contains(word), "no \"{word}\" in: {said}");
    }
    Ok(())
}

fn leak_is_first(report: &TraceReport) -> Result<()> {
    let order: Vec<_> = report
        .suspects
        .iter()
        .map(|site| (site.function.as_deref(), site.old, site.old_bytes))
        .collect();
    println!("{order:?}");
    let first = report.suspects.first().context("no suspect")?;
    ensure!(first.function.as_deref() == Some(LEAKING), "{order:?}");
    let main = first
        .frames
        .iter()
        .any(|frame| frame.function.as_deref() == Some("work"));
    ensure!(main, "the stack is not all there: {:?}", first.frames);
    Ok(())
}

fn close(value: f64, expected: f64, tolerance: f64, what: &str) -> Result<()> {
    println!("{what}: {value}, {expected} expected");
    ensure!(
        (value / expected - 1.0).abs() <= tolerance,
        "{what}: {value} instead of {expected}"
    );
    Ok(())
}

fn untouched(pid: u32) -> Result<()> {
    let changed = changed(pid)?;
    ensure!(
        changed == 0,
        "{changed} bytes of the process's code are not those of its files"
    );
    Ok(())
}

/// Bytes of a process's code that are not those of the files it was mapped from: breakpoints.
fn changed(pid: u32) -> Result<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut changed = 0;
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [range, "r-xp", offset, _, _, path] = fields[..] else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }
        let (start, end) = range.split_once('-').context("no range")?;
        let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        let mut mapped = vec![0; usize::try_from(end - start)?];
        memory.seek(SeekFrom::Start(start))?;
        memory.read_exact(&mut mapped)?;
        let mut stored = vec![0; mapped.len()];
        let link = File::open(format!("/proc/{pid}/map_files/{start:x}-{end:x}"))?;
        let mut filled = 0;
        let offset = u64::from_str_radix(offset, 16)?;
        // The last page of a file is filled up with zeros.
        while filled < stored.len() {
            match link.read_at(&mut stored[filled..], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        changed += mapped
            .iter()
            .zip(&stored)
            .filter(|(mapped, stored)| mapped != stored)
            .count();
    }
    Ok(changed)
}

/// A library of a package. Where it is missing: an error in CI, which installs it; elsewhere a printed reason to skip.
fn library(name: &str, package: &str) -> Result<Option<PathBuf>> {
    let directories = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path());
    if let Some(found) = directories
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
    {
        return Ok(Some(found));
    }
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        bail!("no {name}: apt-get install {package}");
    }
    println!("SKIPPED: no {name}: apt-get install {package}");
    Ok(None)
}
