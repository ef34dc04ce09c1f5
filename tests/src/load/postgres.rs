//! Postgres: a process for every connection.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::Program;
use crate::{agent::free_address, package};

/// The server refuses to run as root; in this order, whoever there is.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Makes a database cluster and starts it; `None` where Postgres is missing.
pub fn start() -> Result<Option<Program>> {
    let (Some(initdb), Some(postgres)) = (
        package::find("initdb", "postgresql")?,
        package::find("postgres", "postgresql")?,
    ) else {
        return Ok(None);
    };
    let (uid, gid) = user()?;
    let dir = tempfile::tempdir()?;
    chown(dir.path(), Some(uid), Some(gid))?;
    let data = dir.path().join("data");
    let mut command = Command::new(initdb);
    command
        .arg("-D")
        .arg(&data)
        .args(["-A", "trust", "-U", "postgres", "--no-sync"]);
    run(command.uid(uid).gid(gid).current_dir(dir.path()))?;

    let address = free_address()?;
    let mut command = Command::new(postgres);
    command
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(dir.path())
        .args([
            "-p",
            &address.port().to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ])
        // Housekeeping would change what is held at rest.
        .args(["-c", "autovacuum=off"])
        .stderr(fs::File::create(dir.path().join("log"))?)
        .uid(uid)
        .gid(gid)
        .current_dir(dir.path());
    // SIGQUIT is the immediate shutdown, which leaves no shared memory behind.
    Program::start(command, dir, address, Signal::QUIT).map(Some)
}

/// Runs pgbench for `duration`; `None` where it is missing.
pub fn load(program: &Program, duration: Duration) -> Result<Option<()>> {
    let Some(pgbench) = package::find("pgbench", "postgresql-contrib")? else {
        return Ok(None);
    };
    let seconds = duration.as_secs().to_string();
    run(bench(&pgbench, program).args(["-i", "-s", "1", "-q"]))?;
    // Half of the time with one connection for each transaction: a process starts and ends for each.
    run(bench(&pgbench, program).args(["-c", "4", "-j", "2", "-T", &seconds]))?;
    run(bench(&pgbench, program).args(["-c", "2", "-C", "-t", "50", "-S"]))?;
    Ok(Some(()))
}

fn bench(pgbench: &PathBuf, program: &Program) -> Command {
    let mut command = Command::new(pgbench);
    let address = program.address();
    command.args([
        "-h",
        &address.ip().to_string(),
        "-p",
        &address.port().to_string(),
        "-U",
        "postgres",
    ]);
    command.arg("postgres");
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let name = Path::new(command.get_program()).display().to_string();
    let output = output.with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn user() -> Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let ids = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    USERS
        .iter()
        .find_map(|name| ids(name))
        .context("neither a user postgres nor nobody")
}
