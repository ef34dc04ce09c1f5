//! Other programs: started, waited for, measured through `/proc`, ended.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end.
const END: Duration = Duration::from_secs(10);

/// A program whose output is read line by line. Dropping it kills it.
pub(crate) struct Background {
    name: String,
    child: Child,
    lines: Receiver<String>,
    complaints: File,
}

impl Background {
    /// Starts `command`.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let complaints = tempfile::tempfile()?;
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let output = child.stdout.take().context("no output")?;
        let (send, lines) = channel();
        // Reads on when nobody listens: a full pipe would stop the program.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _nobody_listens = send.send(line);
            }
        });
        Ok(Self {
            name,
            child,
            lines,
            complaints,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line, within `patience`.
    pub(crate) fn line(&mut self, patience: Duration) -> Result<String> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("{} says nothing for {patience:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                let mut complaints = String::new();
                self.complaints.rewind()?;
                self.complaints.read_to_string(&mut complaints)?;
                bail!("{} ended with {status}: {}", self.name, complaints.trim())
            }
        }
    }

    /// Forgets the lines that were not read.
    pub(crate) fn drain(&mut self) {
        while self.lines.try_recv().is_ok() {}
    }

    /// Returns when a line contains `what`.
    pub(crate) fn wait_for(&mut self, what: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self
            .line(deadline.saturating_duration_since(Instant::now()))?
            .contains(what)
        {}
        Ok(())
    }

    /// Ends its input and waits for its end.
    pub(crate) fn end_input(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.wait_for_end()
    }

    /// Sends SIGINT and waits for its end.
    pub(crate) fn interrupt(mut self) -> Result<()> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("pid 0")?;
        kill_process(pid, Signal::INT).with_context(|| format!("kill {}", self.name))?;
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("{} still runs {END:?} after it was asked to end", self.name)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already, and a destructor has nobody to tell.
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// Processor time a process has used, seconds: its user and its system part.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// Both parts since it started.
pub(crate) fn cpu_time(pid: u32) -> Result<CpuTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("/proc/PID/stat has no command name")?;
    let ticks: Vec<f64> = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    ensure!(ticks.len() == 2, "/proc/PID/stat is cut short");
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(CpuTime {
        user: ticks[0] / per_second,
        system: ticks[1] / per_second,
    })
}

/// Resident memory, bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm
        .split_ascii_whitespace()
        .nth(1)
        .context("/proc/PID/statm")?
        .parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
