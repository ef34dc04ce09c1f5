//! A running `leakwatch agent`.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Seek},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use leakwatch::model::snapshot::Snapshot;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binary;

/// How long after a signal the agent may still run.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// An agent on a free port and a socket of its own. Dropping it without [`Agent::stop`] kills it.
pub struct Agent {
    binary: PathBuf,
    child: Child,
    address: SocketAddr,
    dir: TempDir,
    log: File,
}

impl Agent {
    /// Starts `binary agent` with `extra` arguments and returns when it says that it is ready, within `patience`.
    pub fn start<A: Into<OsString>>(
        binary: &Path,
        extra: impl IntoIterator<Item = A>,
        patience: Duration,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let log = tempfile::tempfile()?;
        let address = free_address()?;
        let child = Command::new(binary)
            .arg("agent")
            .arg("--listen")
            .arg(address.to_string())
            .arg("--socket")
            .arg(dir.path().join("socket"))
            .args(extra.into_iter().map(Into::into))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut agent = Self {
            binary: binary.to_owned(),
            child,
            address,
            dir,
            log,
        };
        agent.wait_until_ready(patience)?;
        Ok(agent)
    }

    fn wait_until_ready(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let Err(error) = self.get("/readyz") else {
                return Ok(());
            };
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the agent ended with {status} before it was ready:\n{}",
                    self.log_text()?
                );
            }
            if Instant::now() > deadline {
                return Err(error.context(format!("not ready after {patience:?}:\n{}", self.log_text()?)));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket that `leakwatch top --connect` wants.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Everything it has logged so far.
    pub fn log_text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.log.rewind()?;
        self.log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `GET path`; any status but 200 is an error.
    pub fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = ureq::get(&url)
            .config()
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .call();
        let mut body = answer.with_context(|| format!("GET {url}"))?.into_body();
        body.with_config()
            .limit(256 << 20)
            .read_to_string()
            .with_context(|| format!("body of {url}"))
    }

    /// The latest snapshot, over HTTP.
    pub fn snapshot(&self) -> Result<Snapshot> {
        serde_json::from_str(&self.get("/api/v1/snapshot")?).context("not a snapshot")
    }

    /// A snapshot over the socket, with the descriptors of every process told apart by kind.
    pub fn snapshot_with_fd_kinds(&self) -> Result<Snapshot> {
        self.top(&["--fd-kinds"])
    }

    /// A snapshot over the socket of one process, with all that is known about it.
    pub fn snapshot_of(&self, pid: u32) -> Result<Snapshot> {
        self.snapshot_of_all([pid])
    }

    /// The same of several processes at once.
    pub fn snapshot_of_all(&self, pids: impl IntoIterator<Item = u32>) -> Result<Snapshot> {
        let pids: Vec<String> = pids.into_iter().map(|pid| format!("--pid={pid}")).collect();
        self.top(&pids)
    }

    fn top(&self, extra: &[impl AsRef<OsStr>]) -> Result<Snapshot> {
        let socket = self.socket();
        let arguments = ["top", "--once", "-o", "json"]
            .map(OsStr::new)
            .into_iter()
            .chain(extra.iter().map(AsRef::as_ref))
            .chain([OsStr::new("--connect"), socket.as_os_str()]);
        let text = binary::stdout(&self.binary, arguments)?;
        serde_json::from_slice(&text).context("not a snapshot")
    }

    /// Sends `signal` and asserts a clean end in time.
    pub fn stop(mut self, signal: Signal) -> Result<()> {
        let started = Instant::now();
        self.send(signal)?;
        let Some(status) = self.wait(SHUTDOWN + Duration::from_secs(3))? else {
            bail!(
                "the agent still runs {:?} after {signal:?}:\n{}",
                started.elapsed(),
                self.log_text()?
            );
        };
        let elapsed = started.elapsed();
        ensure!(
            status.success(),
            "the agent ended with {status} after {signal:?}:\n{}",
            self.log_text()?
        );
        ensure!(
            elapsed <= SHUTDOWN,
            "the agent took {elapsed:?} to end, {SHUTDOWN:?} are allowed"
        );
        Ok(())
    }

    /// Ends it without giving it a chance to clean up.
    pub fn kill9(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn send(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("pid 0")?;
        kill_process(pid, signal).context("kill")
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(None)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already, and a destructor has nobody to tell.
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no free port")?
        .local_addr()?)
}
