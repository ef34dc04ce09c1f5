//! Tells somebody when a process begins to leak: a command, an HTTP server.

mod changes;
mod command;
mod limit;
mod webhook;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use log::{info, warn};
use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};

pub use self::webhook::{UrlError, Webhook};
use self::{
    changes::Changes,
    limit::{Admission, Limiter},
};
use crate::{
    model::{
        finding::{FINDINGS_VERSION, Finding, Verdict},
        snapshot::Snapshot,
    },
    sampler::Snapshots,
};

/// A command that takes longer is killed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Commands and posts at the same time.
const MOST_AT_ONCE: usize = 4;

/// Whom to tell, and of what.
#[derive(Clone, Debug, Default)]
pub struct HookOptions {
    /// Run with `sh -c`, with the finding as JSON on standard input.
    pub command: Option<String>,
    /// Gets the same JSON by POST.
    pub webhook: Option<Webhook>,
    /// Changes to these verdicts are told.
    pub verdicts: Vec<Verdict>,
}

/// What is told: a finding, and where.
#[derive(Serialize)]
struct Message<'a> {
    schema_version: u32,
    host: &'a str,
    time_unix_ms: u64,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Watches findings and tells of changes.
pub struct Hook {
    options: Arc<HookOptions>,
    started: Instant,
    changes: Changes,
    limiter: Limiter,
    dropped: u64,
    slots: Arc<Semaphore>,
    under_way: JoinSet<()>,
    children: Arc<Mutex<BTreeSet<u32>>>,
}

impl Hook {
    /// Nobody has been told anything yet.
    pub fn new(options: HookOptions) -> Self {
        Self {
            options: Arc::new(options),
            started: Instant::now(),
            changes: Changes::default(),
            limiter: Limiter::default(),
            dropped: 0,
            slots: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            under_way: JoinSet::new(),
            children: Arc::default(),
        }
    }

    /// Tells of what has changed in the findings of `snapshot` that `is_meant`. Needs a running runtime; does not wait.
    pub fn see(&mut self, snapshot: &Snapshot, is_meant: impl Fn(&Finding) -> bool) {
        while self.under_way.try_join_next().is_some() {}
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let meant = snapshot.findings.iter().filter(|finding| is_meant(finding));
        for finding in self.changes.of(meant) {
            if !self.options.verdicts.contains(&finding.verdict) {
                continue;
            }
            match self.limiter.admit(now_ns, finding) {
                Admission::Send => self.tell(snapshot, finding),
                Admission::Said => info!("hook: {} ({}): said before", finding.process, finding.pid),
                Admission::TooMany => {
                    self.dropped += 1;
                    warn!(
                        "hook: {} ({}) is {}, and nobody is told: too many in an hour, {} so far",
                        finding.process,
                        finding.pid,
                        finding.verdict.name(),
                        self.dropped
                    );
                }
            }
        }
    }

    fn tell(&mut self, snapshot: &Snapshot, finding: &Finding) {
        let message = Message {
            schema_version: FINDINGS_VERSION,
            host: &snapshot.host,
            time_unix_ms: snapshot.time_unix_ms,
            finding,
        };
        let mut document = match serde_json::to_vec(&message) {
            Ok(document) => document,
            Err(error) => return warn!("hook: {error}"),
        };
        document.push(b'\n');
        if self.options.command.is_some() {
            let (options, slots) = (Arc::clone(&self.options), Arc::clone(&self.slots));
            let (children, document) = (Arc::clone(&self.children), document.clone());
            self.under_way.spawn(async move {
                let _slot = slots.acquire().await;
                let note = |pid| {
                    lock(&children).insert(pid);
                };
                let command = options.command.as_deref().unwrap_or_default();
                if let Err(error) = command::run(command, document, COMMAND_TIMEOUT, note).await {
                    warn!("hook: `{command}`: {error}");
                }
            });
        }
        if self.options.webhook.is_some() {
            let (options, slots) = (Arc::clone(&self.options), Arc::clone(&self.slots));
            self.under_way.spawn(async move {
                let _slot = slots.acquire().await;
                let told = tokio::task::spawn_blocking(move || {
                    let webhook = options.webhook.as_ref()?;
                    let error = webhook.post(&document).err()?;
                    Some(format!("{webhook}: {error}"))
                });
                if let Ok(Some(error)) = told.await {
                    warn!("hook: {error}");
                }
            });
        }
    }

    /// The pid of every command that was started: they are children of this process.
    pub fn children(&self) -> BTreeSet<u32> {
        lock(&self.children).clone()
    }

    /// Waits until everybody who is being told was told.
    pub async fn finish(mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    /// Tells of what changes in all findings of every snapshot, until there are no more.
    pub async fn run(mut self, mut snapshots: Snapshots) {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            if let Some(snapshot) = snapshot {
                self.see(&snapshot, |_| true);
            }
        }
        self.finish().await;
    }
}

fn lock(children: &Mutex<BTreeSet<u32>>) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
    // A panic while the lock was held leaves a set that is still a set.
    children.lock().unwrap_or_else(PoisonError::into_inner)
}
