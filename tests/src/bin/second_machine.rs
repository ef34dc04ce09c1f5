//! What was found live on one machine is found again on another, byte for byte and without root.
//!
//! `record` makes a program leak and writes down what leakwatch says of it, while it records; `replay`, to be run as root on the
//! other machine, becomes nobody, replays the recording, and ends with 0 when everything that was said is said again.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use leakwatch::model::{finding::Verdict, snapshot::Snapshot};
use leakwatch_tests::leaks::{Language, Leak, Mode};
use rustix::process::{Pid, Signal, kill_process};

/// Leaks a second: slow enough to go on for a minute and a half, fast enough to be suspected in half of that.
const RATE: u32 = 10;
/// How long leakwatch may take to suspect that on a busy machine; it takes 40 s on a quiet one.
const PATIENCE: Duration = Duration::from_mins(4);
/// Snapshots that are written down after that.
const MORE: usize = 3;
/// The user and the group `nobody`.
const NOBODY: u32 = 65_534;

/// Records here what is replayed on another machine.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Action,
    /// The leakwatch under test
    #[arg(long, global = true, value_name = "PATH", default_value = "/leakwatch")]
    leakwatch: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Watch a leak until it is suspected
    Record {
        /// Where `recording`, `seen` and `kernel` are put
        directory: PathBuf,
    },
    /// Compare what is said now with what was said then
    Replay {
        /// Where they are
        directory: PathBuf,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.command {
        Action::Record { directory } => record(&args.leakwatch, directory),
        Action::Replay { directory } => replay(&args.leakwatch, directory),
    }
}

fn record(leakwatch: &Path, directory: &Path) -> Result<()> {
    let built = tempfile::tempdir()?;
    let program = Language::C.build(built.path())?.context("no C compiler")?;
    let leak = Leak::of(&program, Mode::Fd, RATE, 2 * PATIENCE)?;
    let pid = leak.pid().to_string();
    let mut recorder = Command::new(leakwatch)
        .args(["top", "--fd-kinds", "-i", "1", "-o", "jsonl"])
        .args(["-n", &PATIENCE.as_secs().to_string(), "-p", &pid, "--record"])
        .arg(directory.join("recording"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", leakwatch.display()))?;
    let mut seen = File::create(directory.join("seen"))?;
    let (begun, mut suspected, mut more) = (Instant::now(), None, 0);
    for line in BufReader::new(recorder.stdout.take().context("no output")?).lines() {
        let line = line?;
        writeln!(seen, "{line}")?;
        if suspected.is_none() && is_suspected(&line, leak.pid())? {
            suspected = Some(begun.elapsed());
        }
        more += usize::from(suspected.is_some());
        if more > MORE {
            break;
        }
    }
    let recorder_pid = Pid::from_raw(i32::try_from(recorder.id())?).context("no pid")?;
    kill_process(recorder_pid, Signal::INT)?;
    let ended = recorder.wait()?;
    let after = suspected.with_context(|| format!("not suspected within {PATIENCE:?}; {ended}"))?;
    fs::write(directory.join("kernel"), release())?;
    println!("suspected after {:.0} s, on {}", after.as_secs_f64(), release());
    Ok(())
}

fn is_suspected(line: &str, pid: u32) -> Result<bool> {
    let snapshot: Snapshot = serde_json::from_str(line).context("not a snapshot")?;
    let mut findings = snapshot.findings.iter();
    Ok(findings.any(|finding| finding.pid == pid && finding.verdict >= Verdict::Suspected))
}

fn replay(leakwatch: &Path, directory: &Path) -> Result<()> {
    let recording = directory.join("recording");
    fs::set_permissions(&recording, fs::Permissions::from_mode(0o644))?;
    let seen = fs::read_to_string(directory.join("seen"))?;
    let first: Snapshot = serde_json::from_str(seen.lines().next().context("nothing was seen")?)?;
    let kernel = fs::read_to_string(directory.join("kernel"))?;
    ensure!(kernel != release(), "this is the kernel that it was recorded on");
    let pid = first.processes.first().context("no process was seen")?.id.pid;
    let replayed = Command::new(leakwatch)
        .args(["top", "-o", "jsonl", "-p", &pid.to_string(), "--replay"])
        .arg(&recording)
        .stdin(Stdio::null())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .context("cannot replay")?;
    ensure!(replayed.status.success(), "{replayed:?}");
    let again: HashSet<&str> = std::str::from_utf8(&replayed.stdout)?.lines().collect();
    for line in seen.lines() {
        ensure!(again.contains(line), "not said again: {line}");
    }
    println!(
        "{} snapshots of {kernel} are the same on {}",
        seen.lines().count(),
        release()
    );
    Ok(())
}

/// The release of the running kernel.
fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
