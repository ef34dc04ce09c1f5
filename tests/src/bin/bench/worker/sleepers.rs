//! Idle processes, each with a few descriptors, under 200 names.

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _, Write as _},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many
    count: usize,
}

/// Different command names, as on a host with many services.
const NAMES: usize = 200;
/// Descriptors that each opens besides what it inherits.
const FILES: usize = 5;

/// Says `ready` when all run, and ends them when standard input ends. They do not outlive this process.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut children = Vec::with_capacity(args.count);
    for index in 0..args.count {
        // SAFETY: this process has one thread, so the child may go on with any code.
        let pid = unsafe { libc::fork() };
        match Pid::from_raw(pid) {
            Some(_) if pid < 0 => {
                end(&children);
                return Err(io::Error::last_os_error()).context("fork");
            }
            Some(pid) => children.push(pid),
            None => sleep_for_ever(index)?,
        }
    }
    let mut output = io::stdout();
    writeln!(output, "ready")?;
    output.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    end(&children);
    Ok(())
}

fn sleep_for_ever(index: usize) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let name = CString::new(format!("idle-{}", index % NAMES))?;
    rustix::thread::set_name(&name)?;
    let _held: Vec<File> = (0..FILES)
        .map(|_| File::open("/dev/null"))
        .collect::<Result<_, _>>()?;
    loop {
        // SAFETY: takes no arguments; returns when a signal handler has run, and there is none.
        unsafe { libc::pause() };
    }
}

fn end(children: &[Pid]) {
    for &child in children {
        // It may be gone already.
        let _gone = kill_process(child, Signal::KILL);
    }
    for &child in children {
        let _gone = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    }
}
