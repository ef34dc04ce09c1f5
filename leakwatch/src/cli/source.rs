//! Where snapshots come from: a running agent, or probes of our own.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use tokio::{net::UnixStream, sync::watch};

use super::{Failure, runtime};
use crate::{
    confirm::Staleness,
    kernel::{LoadOptions, StacksOf},
    model::{interest::Interest, snapshot::Snapshot},
    sampler::{Sampler, Snapshots},
    socket,
};

/// Somebody who makes snapshots.
pub(super) enum Source {
    /// The agent at the other end.
    Agent(UnixStream),
    /// Nobody yet: probes are loaded by [`Source::run`].
    Probes {
        /// What they read is recorded into this file.
        recording: Option<File>,
        /// Whether memory may be looked at closely.
        staleness: Staleness,
        /// Of whom stacks are taken.
        stacks_of: StacksOf,
    },
}

impl Source {
    /// The agent at `path`; without a path the agent at the usual place, or probes if none is there.
    pub(super) async fn connect(
        path: Option<&Path>,
        staleness: Staleness,
        stacks_of: StacksOf,
    ) -> Result<Self, Failure> {
        if let Some(path) = path {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|error| Failure::CannotObserve {
                    what: format!("connect {}: {error}", path.display()),
                    cause: Some("no agent listens there, or it is not yours to watch".to_owned()),
                    fix: Some("load the probes here instead: the same command without --connect".to_owned()),
                })?;
            return Ok(Self::Agent(stream));
        }
        let agent = UnixStream::connect(socket::DEFAULT_PATH).await;
        Ok(agent.map_or(
            Self::Probes {
                recording: None,
                staleness,
                stacks_of,
            },
            Self::Agent,
        ))
    }

    /// Whether snapshots come from an agent, which ticks at its own pace and knows what was before.
    pub(super) fn is_agent(&self) -> bool {
        matches!(self, Self::Agent(_))
    }

    /// Publishes snapshots, of our own only when names were waited for so long, until everybody has stopped watching or the future is dropped.
    pub(super) async fn run(
        self,
        interval: Duration,
        wanted: watch::Receiver<Interest>,
        publish: watch::Sender<Option<Arc<Snapshot>>>,
        patience: Duration,
    ) -> Result<(), Failure> {
        match self {
            Self::Agent(stream) => socket::watch(stream, wanted, publish)
                .await
                .map_err(|error| Failure::because(format!("watching the agent: {error}"))),
            Self::Probes {
                recording,
                staleness,
                stacks_of,
            } => {
                let options = LoadOptions {
                    stacks_of,
                    ..LoadOptions::default()
                };
                let mut sampler = Sampler::attach(&options, runtime::host_name())?.with_staleness(staleness);
                if let Some(file) = recording {
                    sampler.record_to(file, interval)?;
                }
                sampler
                    .with_patience(patience)
                    .run(interval, move || wanted.borrow().clone(), publish)
                    .await
                    .map_err(Failure::from)
            }
        }
    }
}

/// The next snapshot; `None` when there will be none.
pub(super) async fn next(snapshots: &mut Snapshots) -> Option<Arc<Snapshot>> {
    loop {
        snapshots.changed().await.ok()?;
        if let Some(snapshot) = snapshots.borrow_and_update().clone() {
            return Some(snapshot);
        }
    }
}

/// Processes of `pids` that are not there.
pub(super) fn gone<'a>(pids: impl IntoIterator<Item = &'a u32>, snapshot: &Snapshot) -> Vec<u32> {
    let is_there = |pid: &&u32| snapshot.processes.iter().any(|process| process.id.pid == **pid);
    pids.into_iter().filter(|pid| !is_there(pid)).copied().collect()
}

/// Why processes that were asked for cannot be shown.
pub(super) fn no_such(pids: &[u32]) -> Failure {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    Failure::CannotObserve {
        what: format!("no process {}", pids.join(", ")),
        cause: Some("it has ended, or that is its number in another PID namespace".to_owned()),
        fix: Some("leakwatch top --once, to see which there are".to_owned()),
    }
}
