//! Real programs under a bounded load on loopback.

pub mod connections;
pub mod go;
pub mod http;
pub mod java;
pub mod leaky;
pub mod nginx;
pub mod node;
pub mod postgres;
pub mod python;

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::truth::user_processes;

/// How long a program may take until it accepts connections.
const STARTUP: Duration = Duration::from_mins(1);

/// How long it may take to end when asked to.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// A server, started and listening on loopback; dropping it ends it and its children.
pub struct Program {
    child: Child,
    address: SocketAddr,
    /// The signal that makes it end at once.
    end: Signal,
    dir: TempDir,
}

impl Program {
    /// Runs `command`, whose files are in `dir`, and waits until it listens on `address`.
    fn start(mut command: Command, dir: TempDir, address: SocketAddr, end: Signal) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let mut program = Self {
            child,
            address,
            end,
            dir,
        };
        let deadline = Instant::now() + STARTUP;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = program.child.try_wait()? {
                bail!(
                    "{} ended with {status} before it listened",
                    command.get_program().display()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not listen after {STARTUP:?}",
                    command.get_program().display()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(program)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The pids of the server and of all its descendants.
    pub fn pids(&self) -> Result<BTreeSet<u32>> {
        let parents = user_processes()?;
        let mut tree = BTreeSet::from([self.child.id()]);
        loop {
            let size = tree.len();
            let children = parents
                .iter()
                .filter(|(_, parent)| tree.contains(parent))
                .map(|(pid, _)| *pid);
            tree.extend(children.collect::<Vec<_>>());
            if tree.len() == size {
                return Ok(tree);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) else {
            return;
        };
        // A destructor has nobody to tell that the program had ended already.
        let _already_ended = kill_process(pid, self.end);
        let deadline = Instant::now() + SHUTDOWN;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        let _already_ended = kill_process_group(pid, Signal::KILL);
        let _already_reaped = self.child.wait();
    }
}

/// A file of `tests/fixtures`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
