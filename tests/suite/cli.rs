//! What the command line says when something is wrong, and how it behaves in a pipe.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::Snapshot;
use leakwatch_tests::{agent::Agent, binary, holder::Holder};
use rustix::process::Signal;

/// Could not observe.
const UNOBSERVED: i32 = 3;

/// A pid above any the kernel gives out (`PID_MAX_LIMIT`).
const NO_PID: &str = "4194305";

/// `nobody` on every Linux.
const NOBODY: u32 = 65_534;

fn run(arguments: &[&str]) -> Result<Output> {
    binary::run(&binary::leakwatch()?, arguments)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_bad_flag_is_a_usage_error() -> Result<()> {
    let output = run(&["top", "--no-such-flag"])?;
    let said = stderr(&output);
    ensure!(
        output.status.code() == Some(2),
        "ended with {}: {said}",
        output.status
    );
    ensure!(
        said.contains("unexpected argument '--no-such-flag'") && said.contains("Usage:"),
        "{said}"
    );
    ensure!(output.stdout.is_empty(), "an error is not data");
    Ok(())
}

#[test]
fn a_pid_that_is_gone_is_named() -> Result<()> {
    let output = run(&["top", "--once", "-o", "json", "-p", NO_PID])?;
    let said = stderr(&output);
    ensure!(
        output.status.code() == Some(UNOBSERVED),
        "ended with {}: {said}",
        output.status
    );
    ensure!(said.contains(NO_PID), "the pid is not named: {said}");
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("socket");
    let started = Instant::now();
    let socket = socket.to_str().context("path")?;
    let output = run(&["agent", "--listen", &address, "--socket", socket])?;
    let said = stderr(&output);
    ensure!(
        started.elapsed() < Duration::from_secs(20),
        "took {:?}",
        started.elapsed()
    );
    ensure!(
        matches!(output.status.code(), Some(1..=3)),
        "ended with {}: {said}",
        output.status
    );
    ensure!(said.contains(&address) && said.contains("in use"), "{said}");
    Ok(())
}

#[test]
fn a_closed_pipe_ends_it_quietly() -> Result<()> {
    let mut child = Command::new(binary::leakwatch()?)
        .args(["top", "-b", "-n", "100", "-i", "200ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    stdout.read_line(&mut String::new())?;
    drop(stdout);
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            break child.wait()?;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child
        .stderr
        .take()
        .context("no pipe")?
        .read_to_string(&mut said)?;
    ensure!(
        status.code() != Some(101) && !said.contains("panicked"),
        "panicked: {said}"
    );
    ensure!(!said.to_lowercase().contains("broken pipe"), "not quiet: {said}");
    ensure!(
        Instant::now() < deadline,
        "still ran long after its pipe was closed"
    );
    Ok(())
}

#[test]
fn without_a_terminal_top_prints_a_table() -> Result<()> {
    let output = run(&["top", "-n", "1"])?;
    let text = String::from_utf8(output.stdout.clone())?;
    ensure!(
        output.status.success(),
        "ended with {}: {}",
        output.status,
        stderr(&output)
    );
    ensure!(!text.contains('\x1b'), "escape codes in a pipe:\n{text}");
    let own = std::process::id().to_string();
    ensure!(
        text.lines()
            .any(|line| line.split_whitespace().any(|word| word == own)),
        "no line for this test:\n{text}"
    );
    Ok(())
}

#[test]
fn top_once_measures_growth_and_only_who_was_asked_for() -> Result<()> {
    let own = std::process::id();
    let output = run(&["top", "--once", "-o", "json", "-p", &own.to_string()])?;
    ensure!(
        output.status.success(),
        "ended with {}: {}",
        output.status,
        stderr(&output)
    );
    let snapshot: Snapshot = serde_json::from_slice(&output.stdout)?;
    let [row] = snapshot.processes.as_slice() else {
        anyhow::bail!("{} processes instead of one", snapshot.processes.len());
    };
    ensure!(row.id.pid == own && row.fd_kinds.is_some(), "{row:?}");
    ensure!(
        row.growth.fds_per_second.is_some(),
        "one tick is no growth: {row:?}"
    );
    Ok(())
}

#[test]
fn a_hostile_name_reaches_no_terminal() -> Result<()> {
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let holder = Holder::start("x\x1b]0;y\x07\nz\"")?;
    thread::sleep(Duration::from_secs(2));
    let socket = agent.socket();
    let socket = socket.to_str().context("path")?;
    for format in ["table", "csv", "json", "jsonl"] {
        let output = run(&["top", "--once", "-o", format, "--connect", socket])?;
        ensure!(output.status.success(), "{format}: {}", stderr(&output));
        let text = String::from_utf8(output.stdout)?;
        ensure!(
            text.contains(&holder.pid().to_string()),
            "{format}: the process is not there"
        );
        let raw = |c: char| c.is_control() && c != '\n' && c != '\r';
        ensure!(
            !text.contains(raw) && !text.contains("\\u001b"),
            "{format}: control characters pass through"
        );
    }
    let metrics = agent.get("/metrics")?;
    ensure!(
        !metrics.contains('\x1b') && !metrics.contains('\x07'),
        "/metrics: control characters pass through"
    );
    agent.stop(Signal::TERM)
}

#[test]
fn without_rights_it_says_which_are_missing() -> Result<()> {
    // Where the build is may not be open to everybody.
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    let copy = dir.path().join("leakwatch");
    fs::copy(binary::leakwatch()?, &copy)?;
    for arguments in [&["top", "--once"][..], &["doctor"][..]] {
        let output = Command::new(&copy)
            .args(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .output()?;
        let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.code() == Some(UNOBSERVED),
            "{arguments:?} ended with {}: {said}",
            output.status
        );
        ensure!(
            said.contains("CAP_BPF") && said.contains("sudo"),
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}
