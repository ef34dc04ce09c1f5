//! What the agent gives up once its probes are attached.

use log::{debug, warn};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Keeps only what reading takes: eBPF (before 5.8 there is just `CAP_SYS_ADMIN` for it, which also switches the run-time
/// accounting on), and `/proc` of other users' processes.
const KEPT: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// Drops every other capability of this thread and of those it starts from now on. What cannot be dropped is kept, and said.
pub(super) fn drop_unneeded() {
    let dropped = capabilities(None).and_then(|held| {
        let kept = CapabilitySets {
            effective: held.effective & KEPT,
            permitted: held.permitted & KEPT,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, kept)?;
        Ok(held.effective - KEPT)
    });
    match dropped {
        Ok(dropped) => debug!("capabilities dropped: {dropped:?}"),
        Err(error) => warn!("capset: {error}: the agent keeps capabilities that it does not need"),
    }
}
