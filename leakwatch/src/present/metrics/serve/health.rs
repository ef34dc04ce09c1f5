//! What Kubernetes asks: whether the agent is alive, and whether it sees what it should.

use std::{sync::Arc, time::Duration};

use axum::extract::State;

use super::{App, Refusal, unavailable};
use crate::{
    clock::{ClockId, now_ns},
    model::{
        health::{ProbeHealth, ProbeState},
        snapshot::Snapshot,
    },
};

/// Alive: the sampling loop runs. Before the first snapshot nothing is known to be wrong.
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    if app.snapshots.has_changed().is_err() {
        return Err(unavailable("the sampling loop has ended"));
    }
    let latest = app.snapshots.borrow().clone();
    if let Some(age) = latest
        .map(|snapshot| age(&snapshot))
        .filter(|age| *age > app.options.stale_after)
    {
        return Err(unavailable(format!(
            "the last snapshot is {} s old: the sampling loop hangs",
            age.as_secs()
        )));
    }
    Ok("ok\n")
}

pub(super) fn age(snapshot: &Snapshot) -> Duration {
    Duration::from_nanos(now_ns(ClockId::Boottime).saturating_sub(snapshot.uptime_ns))
}

/// Ready: there is a snapshot and every required probe does its work.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    let snapshot = app.latest()?;
    let missing: Vec<String> = app
        .options
        .required_probes
        .iter()
        .filter_map(|name| missing_probe(name, &snapshot.health.probes))
        .collect();
    if missing.is_empty() {
        Ok("ready\n")
    } else {
        Err(unavailable(missing.join("\n")))
    }
}

fn missing_probe(name: &str, probes: &[ProbeHealth]) -> Option<String> {
    match probes.iter().find(|probe| probe.name == name) {
        None => Some(format!("probe {name} is not loaded")),
        Some(ProbeHealth {
            state: ProbeState::Failed,
            hook,
            reason,
            ..
        }) => {
            let reason = reason
                .as_deref()
                .unwrap_or("reason unknown, run `leakwatch doctor`");
            Some(format!("probe {name} is not attached to {hook}: {reason}"))
        }
        Some(_) => None,
    }
}
