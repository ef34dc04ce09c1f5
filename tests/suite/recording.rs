//! What was seen live is seen again from a recording: without root, after a `kill -9`, byte for byte.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use leakwatch::{
    model::snapshot::Snapshot,
    record::{self, Ending},
};
use leakwatch_tests::{
    binary,
    leaks::{Language, Leak, Mode},
    package,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Leaks a second.
const RATE: u32 = 50;
/// When the program ends if nobody ends it.
const END: Duration = Duration::from_mins(2);

/// Ticks that are recorded at least, and how long that may take on a busy machine.
const TICKS: usize = 5;
const PATIENCE: Duration = Duration::from_mins(1);

/// `nobody`, on every distribution.
const NOBODY: &str = "65534";

#[test]
fn a_replay_without_root_gives_the_same_bytes() -> Result<()> {
    let Some((dir, leak)) = leaking()? else {
        return Ok(());
    };
    let file = dir.path().join("recording");
    let pid = leak.pid().to_string();
    // All processes, and one of them closely.
    let live = leakwatch(
        [
            "top",
            "--fd-kinds",
            "-i",
            "1",
            "-n",
            "10",
            "-o",
            "jsonl",
            "-p",
            &pid,
            "--record",
        ],
        &file,
    )?;
    ensure!(live.status.success(), "{live:?}");
    let live: Vec<&str> = std::str::from_utf8(&live.stdout)?.lines().collect();
    ensure!(live.len() == 10, "{} snapshots", live.len());

    let open = open_to_all(&dir)?;
    let again = as_nobody(&open, ["top", "-o", "jsonl", "-p", &pid, "--replay"], &file)?;
    ensure!(again.status.success(), "{again:?}");
    let again: Vec<&str> = std::str::from_utf8(&again.stdout)?.lines().collect();
    for line in &live {
        ensure!(again.contains(line), "not in the replay: {line}");
    }
    let last: Snapshot = serde_json::from_str(live.last().context("no snapshot")?)?;
    let row = last.processes.first().context("no process")?;
    ensure!(
        row.sites
            .iter()
            .any(|site| site.function.as_deref() == Some("leak_descriptor")),
        "the leak has no name in {row:?}"
    );

    // The library reads it as well: here in a build without probes.
    let read = record::replay(&file)?.collect::<Result<Vec<_>, _>>()?;
    ensure!(read.len() == again.len(), "{} ticks", read.len());
    let same = read.iter().find(|read| read.time_unix_ms == last.time_unix_ms);
    let same = same.and_then(|same| same.processes.iter().find(|same| same.id == row.id));
    ensure!(same == Some(row), "{same:?} is not {row:?}");
    Ok(())
}

#[test]
fn a_recorder_that_is_killed_leaves_everything_up_to_then() -> Result<()> {
    let Some((dir, leak)) = leaking()? else {
        return Ok(());
    };
    let file = dir.path().join("recording");
    let mut recorder = start_recorder(&file)?;
    wait_for_ticks(&file)?;
    recorder.kill()?;
    let killed_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    recorder.wait()?;

    let mut replay = record::replay(&file)?;
    let snapshots = replay.by_ref().collect::<Result<Vec<_>, _>>()?;
    ensure!(replay.ending() == Some(Ending::CutShort));
    let last = snapshots.last().context("no tick")?;
    let lost = killed_ms.saturating_sub(last.time_unix_ms.into());
    println!("{} ticks; {lost} ms before the kill", snapshots.len());
    ensure!(lost < 2_000, "{lost} ms are lost");
    let row = last.processes.iter().find(|process| process.id.pid == leak.pid());
    let fds = row.context("the leaking process is not there")?.fds;
    ensure!(fds > RATE, "{fds} descriptors");

    let open = open_to_all(&dir)?;
    let shown = as_nobody(&open, ["top", "--once", "--replay"], &file)?;
    let said = String::from_utf8_lossy(&shown.stderr);
    ensure!(
        shown.status.success() && said.contains("no end mark"),
        "{shown:?}"
    );
    ensure!(
        String::from_utf8_lossy(&shown.stdout).contains("leak-c"),
        "{shown:?}"
    );
    Ok(())
}

#[test]
fn ctrl_c_ends_a_recording_well() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("recording");
    let recorder = start_recorder(&file)?;
    wait_for_ticks(&file)?;
    let pid = Pid::from_raw(i32::try_from(recorder.id())?).context("no pid")?;
    kill_process(pid, Signal::INT)?;
    let ended = recorder.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success() && said.contains("ticks"), "{ended:?}");
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);
    let mut replay = record::replay(&file)?;
    let ticks = replay.by_ref().count();
    ensure!(
        replay.ending() == Some(Ending::Whole) && ticks >= TICKS,
        "{ticks} ticks"
    );

    let again = leakwatch(["record", "-o"], &file)?;
    let said = String::from_utf8_lossy(&again.stderr);
    ensure!(
        again.status.code() == Some(2) && said.contains("--force"),
        "{again:?}"
    );
    Ok(())
}

#[test]
fn what_is_no_recording_is_said() -> Result<()> {
    let shown = leakwatch(["top", "--once", "--replay"], &binary::leakwatch()?)?;
    let said = String::from_utf8_lossy(&shown.stderr);
    ensure!(
        shown.status.code() == Some(3)
            && said.contains("not a leakwatch recording: it looks like an ELF binary"),
        "{shown:?}"
    );
    Ok(())
}

/// A program that leaks descriptors; `None` where there is no compiler.
fn leaking() -> Result<Option<(TempDir, Leak)>> {
    let dir = tempfile::tempdir()?;
    let Some(program) = Language::C.build(dir.path())? else {
        return Ok(None);
    };
    let leak = Leak::of(&program, Mode::Fd, RATE, END)?;
    Ok(Some((dir, leak)))
}

fn start_recorder(file: &Path) -> Result<std::process::Child> {
    let mut command = Command::new(binary::leakwatch()?);
    command.args(["record", "-o"]).arg(file);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command.spawn().context("cannot run leakwatch")
}

/// Reads the file while it is written.
fn wait_for_ticks(file: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ticks = record::replay(file).map_or(0, Iterator::count);
        if ticks >= TICKS {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{ticks} ticks after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(300));
    }
}

fn leakwatch<const N: usize>(args: [&str; N], file: &Path) -> Result<Output> {
    let mut command = Command::new(binary::leakwatch()?);
    command.args(args).arg(file).stdin(Stdio::null());
    command.output().context("cannot run leakwatch")
}

/// Lets everybody read the recording, which is root's, and run a copy of leakwatch.
fn open_to_all(dir: &TempDir) -> Result<PathBuf> {
    let program = dir.path().join("leakwatch");
    fs::copy(binary::leakwatch()?, &program)?;
    for path in [dir.path(), &program, &dir.path().join("recording")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(program)
}

fn as_nobody<const N: usize>(program: &Path, args: [&str; N], file: &Path) -> Result<Output> {
    let setpriv = package::find("setpriv", "util-linux")?.context("no setpriv")?;
    let mut command = Command::new(setpriv);
    command
        .args([
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
            "--no-new-privs",
        ])
        .arg(program)
        .args(args.iter().map(OsStr::new))
        .arg(file);
    command
        .stdin(Stdio::null())
        .output()
        .context("cannot run setpriv")
}
