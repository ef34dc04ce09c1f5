//! A running `stress` (see `src/bin/stress`).

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The program, started; dropping it ends all its processes.
pub struct Stress {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// What it says once it keeps still.
#[derive(Debug, Deserialize)]
pub struct AtRest {
    /// Repeats the run's choices.
    pub seed: u64,
    /// System calls made, about.
    pub operations: u64,
    /// Pids of the processes that stay, zombies among them.
    pub processes: Vec<u32>,
    /// Pids of some that exited and were reaped.
    pub exited: Vec<u32>,
}

impl Stress {
    /// Starts `binary`, which then works for `seconds`.
    pub fn start(binary: &Path, seconds: u64) -> Result<Self> {
        let mut child = Command::new(binary)
            .arg("--seconds")
            .arg(seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, stdout })
    }

    /// Waits until it keeps still.
    pub fn at_rest(&mut self) -> Result<AtRest> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let rest = serde_json::from_str(&line).with_context(|| format!("stress said `{line}`"))?;
        line.clear();
        self.stdout.read_line(&mut line)?;
        ensure!(line == "AT REST\n", "stress said `{line}`");
        Ok(rest)
    }
}

impl Drop for Stress {
    fn drop(&mut self) {
        // The end of its standard input ends it, and it takes all of its processes along.
        drop(self.child.stdin.take());
        let _already_reaped = self.child.wait();
    }
}
