//! Limits and settings of the kernel that matter on some kernels, or once something was refused.

use super::{
    Check, Status,
    capabilities::Capability,
    facts::Facts,
    kernel_version::{self, NO_MEMLOCK},
    outcome::Outcome,
};

/// From this value on Debian's and Ubuntu's kernels ask for `CAP_SYS_ADMIN` where others are content with `CAP_PERFMON`.
const PARANOID_DISTRIBUTION: i32 = 3;

pub(super) fn checks(facts: &Facts, outcome: &Outcome) -> Vec<Check> {
    let mut checks = vec![memlock(facts, outcome)];
    if outcome.denied() {
        checks.push(perf_event_paranoid(facts));
        checks.push(unprivileged_bpf(facts));
    }
    checks
}

/// Whether maps are charged to a limit that this process cannot lift.
pub(super) fn memlock_is_tight(facts: &Facts) -> bool {
    facts.memlock.is_some()
        && !facts.status.has(Capability::SysResource)
        && kernel_version::parse(&facts.release).is_some_and(|version| version < NO_MEMLOCK)
}

fn memlock(facts: &Facts, outcome: &Outcome) -> Check {
    let name = "memlock";
    let found = match facts.memlock {
        Some(bytes) => format!("{} KiB", bytes / 1024),
        None => "unlimited".to_owned(),
    };
    let is_counted = kernel_version::parse(&facts.release).is_none_or(|version| version < NO_MEMLOCK);
    if !is_counted {
        let (major, minor) = NO_MEMLOCK;
        return Check::pass(
            name,
            format!("{found}; eBPF maps do not count since Linux {major}.{minor}"),
        );
    }
    if !memlock_is_tight(facts) {
        return Check::pass(name, format!("{found}, or as much as leakwatch asks for"));
    }
    Check::problem(
        name,
        outcome.suspect(),
        format!("{found}, and it cannot be raised without CAP_SYS_RESOURCE"),
        "whatever has no room: this kernel charges eBPF maps to it",
        Some("sudo prlimit --memlock=unlimited leakwatch".to_owned()),
    )
}

/// Whether this setting is why a perf event was refused.
pub(super) fn paranoid_refuses(facts: &Facts) -> bool {
    facts
        .perf_event_paranoid
        .is_some_and(|value| value >= PARANOID_DISTRIBUTION)
        && facts.status.has(Capability::Perfmon)
        && !facts.status.has(Capability::SysAdmin)
}

/// What makes a refused perf event possible.
pub(super) const RELAX_PERF: &str = "sudo sysctl kernel.perf_event_paranoid=2";

fn perf_event_paranoid(facts: &Facts) -> Check {
    let name = "perf_event_paranoid";
    let Some(value) = facts.perf_event_paranoid else {
        return Check::pass(
            name,
            "not known: this kernel has no perf events, or /proc/sys is not readable here",
        );
    };
    if paranoid_refuses(facts) {
        let found = format!("{value}: some distributions then want CAP_SYS_ADMIN instead of CAP_PERFMON");
        let lost = "which call site touches memory first";
        return Check::problem(name, Status::Warn, found, lost, Some(RELAX_PERF.to_owned()));
    }
    Check::pass(
        name,
        format!("{value}; no obstacle to who has CAP_PERFMON or CAP_SYS_ADMIN"),
    )
}

fn unprivileged_bpf(facts: &Facts) -> Check {
    let found = match facts.unprivileged_bpf_disabled {
        Some(0) => "0: anybody may call bpf(); tracing still takes CAP_BPF and CAP_PERFMON".to_owned(),
        Some(value) => format!("{value}: bpf() takes CAP_BPF"),
        None => "not known: this kernel has no bpf(), or /proc/sys is not readable here".to_owned(),
    };
    Check::pass("unprivileged_bpf_disabled", found)
}

#[cfg(test)]
mod tests {
    use super::checks;
    use crate::{
        doctor::{
            Status,
            capabilities::Capability,
            facts::{Facts, recorded},
            outcome::recorded as outcomes,
        },
        model::health::ProbeState,
    };

    #[test]
    fn memlock_matters_on_old_kernels_without_sys_resource() {
        let status = |release: &str, effective, memlock| {
            let mut facts = Facts {
                release: release.to_owned(),
                memlock,
                ..recorded::root()
            };
            facts.status.effective = effective;
            checks(&facts, &outcomes::denied())[0].status
        };
        let some = 1 << Capability::Bpf as u32;
        assert_eq!(status("5.10.0-46-amd64", some, Some(65_536)), Status::Fail);
        assert_eq!(status("5.10.0-46-amd64", some, None), Status::Pass);
        assert_eq!(status("5.10.0-46-amd64", u64::MAX, Some(65_536)), Status::Pass);
        assert_eq!(status("5.11.0", some, Some(65_536)), Status::Pass);
    }

    #[test]
    fn sysctls_are_shown_once_something_was_refused() {
        assert_eq!(checks(&recorded::root(), &outcomes::attached()).len(), 1);
        let mut facts = recorded::root();
        facts.status.effective = 1 << Capability::Bpf as u32 | 1 << Capability::Perfmon as u32;
        let reason = "perf_event_open: Permission denied (os error 13)";
        let refused = checks(
            &facts,
            &outcomes::except("page_faults", ProbeState::Failed, reason),
        );
        assert_eq!(refused[1].status, Status::Warn);
        assert!(
            refused[1]
                .fix
                .as_deref()
                .expect("a fix")
                .contains("perf_event_paranoid=2")
        );
        let elsewhere = outcomes::except("vmas", ProbeState::Fallback, "no such type; using /proc/PID/maps");
        assert_eq!(checks(&facts, &elsewhere).len(), 1, "not refused, but missing");
    }
}
