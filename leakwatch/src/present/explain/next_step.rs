//! What to do next: one command.

use serde::Serialize;

use super::Explanation;
use crate::model::{
    finding::{Resource, Verdict},
    runtime,
};
use crate::present::findings::top_holder;

/// Runtimes whose memory is not taken from an allocator that `leakwatch trace` can probe.
const OWN_HEAP: [&str; 5] = [
    runtime::GO,
    runtime::JAVA,
    runtime::NODE,
    runtime::DOTNET,
    runtime::ERLANG,
];

/// One command, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// To be typed as it stands.
    pub command: String,
    /// What for.
    pub why: String,
}

/// By the worst finding.
pub(super) fn next_step(explanation: &Explanation) -> NextStep {
    let pid = explanation.id.pid;
    let step = |command: String, why: &str| NextStep {
        command,
        why: why.to_owned(),
    };
    let findings = explanation.findings();
    let Some(worst) = findings.first().filter(|worst| worst.verdict >= Verdict::Growing) else {
        return step(
            format!("leakwatch check -p {pid} --duration 10m"),
            "nothing is found so far; this says whether anything is in ten minutes",
        );
    };
    if worst.verdict < Verdict::Suspected {
        return step(
            format!("leakwatch check -p {pid} --duration 15m"),
            "growth is no leak yet; within a quarter of an hour a cache fills or garbage is collected",
        );
    }
    let runtime = explanation.process.runtime.as_deref().unwrap_or_default();
    let named = top_holder(worst);
    match worst.resource {
        Resource::Memory
            if named.is_none()
                && runtime::CAN_BE_ASKED.contains(&runtime)
                && explanation.answers.is_none() =>
        {
            step(
                format!("leakwatch explain -p {pid} --attach"),
                "asks its runtime itself what it keeps; IT ACTS on the process, which may stand still to answer",
            )
        }
        Resource::Memory if named.is_none() && !OWN_HEAP.contains(&runtime) => step(
            format!("leakwatch trace -p {pid}"),
            "says which allocations stay, by probes on the allocator, within a budget",
        ),
        Resource::Memory | Resource::Maps => step(
            format!("leakwatch report -p {pid} --resource memory -o svg --output-file {pid}.svg"),
            "draws every stack that took memory, to find who makes what is held",
        ),
        Resource::Fd => step(
            format!("leakwatch report -p {pid} --resource fd -o svg --output-file {pid}.svg"),
            "draws every stack that opened what is still open",
        ),
        Resource::Thread => step(
            format!("leakwatch report -p {pid} --resource thread -o svg --output-file {pid}.svg"),
            "draws every stack that started threads that still run",
        ),
    }
}
