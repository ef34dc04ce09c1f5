//! The runtime that verbs run on, and the signals that end them.

use std::io;

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use super::Failure;

/// One thread: a tick takes milliseconds, and a tool that watches overhead should have little of its own.
pub(super) fn build() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because(format!("starting the event loop: {error}")))
}

/// Completes when the process is asked to end: SIGTERM, SIGINT or SIGHUP.
pub(super) async fn asked_to_end() -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
    Ok(())
}

/// Name of this host: the node's in Kubernetes, where the kernel's is the pod's.
pub(super) fn host_name() -> String {
    std::env::var("NODE_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}
