//! `report`, `diff` and `/debug/pprof`, as a person or a script uses them.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use leakwatch::present::profile::{self, Profile, Resource, folded, pprof};
use leakwatch_tests::{agent::Agent, binary};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_secs(30);

/// A pid above any the kernel gives out (`PID_MAX_LIMIT`).
const NO_PID: &str = "4194305";

fn run(arguments: &[&str]) -> Result<Output> {
    binary::run(&binary::leakwatch()?, arguments)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `act` returns, while this process opens fifty files a second, at most 900, and keeps them.
fn while_leaking<T>(act: impl FnOnce(&str) -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let leak = scope.spawn(|| {
            let mut kept = Vec::new();
            while !stop.load(Ordering::Relaxed) && kept.len() < 900 {
                kept.extend(File::open("/dev/null"));
                thread::sleep(Duration::from_millis(20));
            }
        });
        let result = act(&std::process::id().to_string());
        stop.store(true, Ordering::Relaxed);
        drop(leak.join());
        result
    })
}

#[test]
fn a_report_reads_as_what_it_is() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("fds.pb.gz");
    let file = file.to_str().context("a path in UTF-8")?;
    let report = ["report", "-d", "2s", "-p"];
    let folded = while_leaking(|pid| run(&[&report[..], &[pid]].concat()));
    let to_file = while_leaking(|pid| {
        let file = [pid, "-o", "pprof", "--output-file", file];
        run(&[&report[..], &file].concat())
    });
    let (folded, to_file) = (folded?, to_file?);
    for output in [&folded, &to_file] {
        ensure!(output.status.success(), "{}: {}", output.status, stderr(output));
    }
    ensure!(
        stderr(&folded).starts_with("observing for 2s"),
        "{}",
        stderr(&folded)
    );
    ensure!(to_file.stdout.is_empty(), "it went to a file");
    for bytes in [folded.stdout, fs::read(file)?] {
        let profile = profile::read(&bytes)?;
        ensure!(profile.resource == Resource::Fd, "{profile:?}");
        ensure!(
            (25..900).contains(&profile.attributed()),
            "{} were seen being opened in two seconds",
            profile.attributed()
        );
    }
    Ok(())
}

#[test]
fn a_report_that_cannot_be_says_why() -> Result<()> {
    let output = run(&["report", "-p", NO_PID, "-d", "1s"])?;
    ensure!(output.status.code() == Some(3), "{}", output.status);
    ensure!(
        stderr(&output).contains(&format!("no process {NO_PID}")),
        "{}",
        stderr(&output)
    );
    let output = run(&["report", "-p", "1", "--output-file", "/nonexistent/file"])?;
    ensure!(output.status.code() == Some(2), "{}", output.status);
    ensure!(
        stderr(&output).contains("/nonexistent/file"),
        "{}",
        stderr(&output)
    );
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<String> {
    fs::write(path, bytes)?;
    Ok(path.to_str().context("a path in UTF-8")?.to_owned())
}

#[test]
fn a_difference_names_what_grew_or_what_is_wrong_with_the_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let base = "pool (7);[socket];main;connect;__socket 40\npool (7);[file];main;__open64 8\n";
    let new = "pool (9);[socket];main;connect;__socket 95\npool (9);[file];main;__open64 8\n";
    let base_file = write(&dir.path().join("base.folded"), base.as_bytes())?;
    let new_profile: Profile = profile::read(new.as_bytes())?;
    let new_file = write(&dir.path().join("new.pb.gz"), &pprof::write(&new_profile))?;

    let output = run(&["diff", &base_file, &new_file])?;
    ensure!(output.status.success(), "{}: {}", output.status, stderr(&output));
    let table = String::from_utf8(output.stdout)?;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    ensure!(
        rows[1..] == [["+55", "40", "95", "socket", "pool", "connect"]],
        "{table}"
    );
    let svg = run(&["diff", &base_file, &new_file, "-o", "svg"])?;
    ensure!(
        String::from_utf8_lossy(&svg.stdout).contains("connect"),
        "{}",
        stderr(&svg)
    );

    let whole = pprof::write(&new_profile);
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("cut.pb.gz", &whole[..whole.len() / 2]),
        ("cut.folded", folded::write(&new_profile).trim_end().as_bytes()),
        ("foreign", b"\x7fELF\x02\x01\x01\0\xff"),
        ("foreign.json", b"{}\n"),
    ] {
        let bad = write(&dir.path().join(name), bytes)?;
        let output = run(&["diff", &base_file, &bad])?;
        ensure!(output.status.code() == Some(2), "{name}: {}", output.status);
        ensure!(stderr(&output).contains(&bad), "{name}: {}", stderr(&output));
    }
    Ok(())
}

#[test]
fn the_agent_answers_for_pprof() -> Result<()> {
    let agent = Agent::start(&binary::leakwatch()?, ["--interval", "500ms"], PATIENCE)?;
    let body = while_leaking(|pid| -> Result<Vec<u8>> {
        thread::sleep(Duration::from_secs(2));
        let mut stream = TcpStream::connect(agent.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /debug/pprof/fd?pid={pid} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        Ok(answer.split_off(end.context("no head")? + 4))
    })?;
    let profile = profile::read(&body)?;
    ensure!(profile.attributed() > 25, "{profile:?}");
    agent.stop(Signal::TERM)
}
