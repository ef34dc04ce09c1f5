//! The command that is watched: started, told what we are told, ended when its time is over.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};

use log::debug;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpgrp, kill_process, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitpid,
};
use tokio::process::{Child, Command};

use crate::model::identity::ProcessId;

/// As a shell says it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// A command that runs.
pub(super) struct Running {
    child: Child,
    pid: Pid,
}

impl Running {
    /// Starts it with our standard streams, and makes us the parent of those who lose theirs.
    pub(super) fn start(words: &[OsString]) -> io::Result<Self> {
        let [program, arguments @ ..] = words else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        set_child_subreaper(Some(rustix::process::getpid()))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()?;
        let pid = child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { child, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Passes a signal on. What the terminal sends it sends to the command as well.
    pub(super) fn forward(&self, signal: Signal) {
        if matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground() {
            return;
        }
        // Not reaped yet, so the pid is its own; it may have ended.
        let _ = kill_process(self.pid, signal);
    }
}

/// Whether the signals that a terminal's keys make are sent to our process group.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(&terminal) == Ok(getpgrp()))
}

/// Sends a signal to a process that was seen, if it is still that one.
pub(super) fn signal(process: ProcessId, signal: Signal) {
    let told = || -> io::Result<()> {
        let pid = Pid::from_raw(process.pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        // The handle is of who has the pid now; its age tells whether that is who was seen.
        let started_ns = procfs::process::Process::new(pid.as_raw_nonzero().get())
            .and_then(|process| process.stat())
            .map_err(io::Error::other)?
            .starttime
            .saturating_mul(1_000_000_000 / procfs::ticks_per_second());
        // /proc counts in ticks.
        if process.start_time_ns.abs_diff(started_ns) > 2 * 1_000_000_000 / procfs::ticks_per_second() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(pidfd_send_signal(handle, signal)?)
    };
    if let Err(error) = told() {
        debug!("process {}: {error}", process.pid);
    }
}

/// Reaps a process that became our child when its parent ended.
pub(super) fn reap(process: ProcessId) {
    if let Some(pid) = Pid::from_raw(process.pid.cast_signed()) {
        // Not ours, or reaped already.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// The exit code as a shell says it.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(u8::MAX)
}

/// The exit code, as a shell says it, of a command that could not be started.
pub(super) fn code_of_failure(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    }
}
