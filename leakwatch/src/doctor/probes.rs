//! Every probe of the catalogue, really loaded and attached.

use serde::Serialize;

use super::{Status, advice, facts::Facts, kernel_version, limits, outcome::Outcome};
use crate::{
    kernel::catalog::{Hook, PROBES, Probe},
    model::health::{ProbeHealth, ProbeState},
};

/// One probe and what the kernel answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeCheck {
    /// Name of the program.
    pub name: &'static str,
    /// What it is attached to, such as `tp_btf/sys_exit`.
    pub hook: String,
    /// First kernel that has the hook, `major.minor`.
    pub min_kernel: String,
    /// Whether leakwatch runs without it.
    pub required: bool,
    /// What is used where the hook is missing.
    pub fallback: Option<&'static str>,
    /// How it came out.
    pub status: Status,
    /// Attached, or the kernel's answer.
    pub found: String,
    /// What is not seen without it.
    pub lost: Option<String>,
    /// One command or setting that changes it.
    pub fix: Option<String>,
}

pub(super) fn checks(facts: &Facts, outcome: &Outcome) -> Vec<ProbeCheck> {
    PROBES.iter().map(|probe| check(probe, facts, outcome)).collect()
}

fn check(probe: &Probe, facts: &Facts, outcome: &Outcome) -> ProbeCheck {
    let (major, minor) = probe.min_kernel;
    let passed = ProbeCheck {
        name: probe.program,
        hook: probe.hook.label(),
        min_kernel: format!("{major}.{minor}"),
        required: probe.required,
        fallback: probe.fallback,
        status: Status::Pass,
        found: "attached".to_owned(),
        lost: None,
        fix: None,
    };
    let missing = if probe.required {
        Status::Fail
    } else {
        Status::Warn
    };
    match outcome.of(probe.program) {
        Some(health) if health.state == ProbeState::Attached => passed,
        Some(health) => ProbeCheck {
            status: missing,
            found: answer(health),
            // A fallback costs more and shows the same.
            lost: (health.state == ProbeState::Failed).then(|| probe.shows.to_owned()),
            fix: fix(probe, health, facts),
            ..passed
        },
        None => ProbeCheck {
            status: missing,
            found: "not tried, see load".to_owned(),
            lost: Some(probe.shows.to_owned()),
            fix: outcome.error().and_then(|error| advice::advise(error, facts).fix),
            ..passed
        },
    }
}

fn answer(health: &ProbeHealth) -> String {
    health
        .reason
        .clone()
        .unwrap_or_else(|| "refused without a reason".to_owned())
}

fn fix(probe: &Probe, health: &ProbeHealth, facts: &Facts) -> Option<String> {
    let (major, minor) = probe.min_kernel;
    if kernel_version::parse(&facts.release).is_some_and(|version| version < probe.min_kernel) {
        return Some(format!("boot Linux {major}.{minor} or newer"));
    }
    let errno = health.reason.as_deref().and_then(advice::errno_in);
    if probe.hook == Hook::PageFaults && advice::is_denial(errno) && limits::paranoid_refuses(facts) {
        return Some(limits::RELAX_PERF.to_owned());
    }
    advice::refused(errno, facts).fix
}

#[cfg(test)]
mod tests {
    use super::{ProbeCheck, checks};
    use crate::{
        doctor::{
            Status,
            capabilities::Capability,
            facts::{Facts, recorded},
            outcome::{Outcome, recorded as outcomes},
        },
        model::health::ProbeState,
    };

    fn find(facts: &Facts, outcome: &Outcome, name: &str) -> ProbeCheck {
        let mut checks = checks(facts, outcome).into_iter();
        checks.find(|check| check.name == name).expect("in the catalogue")
    }

    #[test]
    fn a_fallback_is_a_warning_with_the_kernel_that_needs_none() {
        let facts = Facts {
            release: "5.10.0-46-cloud-amd64".to_owned(),
            ..recorded::root()
        };
        let reason = "BTF error: no type bpf_iter_task_vma; using /proc/PID/maps";
        let vmas = find(
            &facts,
            &outcomes::except("vmas", ProbeState::Fallback, reason),
            "vmas",
        );
        assert_eq!((vmas.status, vmas.found.as_str()), (Status::Warn, reason));
        assert_eq!((vmas.lost, vmas.fallback), (None, Some("/proc/PID/maps")));
        assert_eq!(vmas.fix.as_deref(), Some("boot Linux 5.12 or newer"));
    }

    #[test]
    fn a_required_probe_is_a_failure_and_an_optional_one_a_warning() {
        let reason = "bpf(BPF_PROG_LOAD): Operation not permitted (os error 1)";
        let state = ProbeState::Failed;
        let status = |name| find(&recorded::root(), &outcomes::except(name, state, reason), name).status;
        assert_eq!(status("tasks"), Status::Fail);
        assert_eq!(status("files"), Status::Warn);
    }

    #[test]
    fn what_was_not_tried_has_not_passed() {
        let checks = checks(&recorded::nobody(), &outcomes::denied());
        assert!(checks.iter().all(|check| check.status != Status::Pass));
        assert!(
            checks
                .iter()
                .all(|check| check.fix.as_deref() == Some("sudo leakwatch"))
        );
    }

    #[test]
    fn a_perf_event_refused_by_a_distribution() {
        let mut facts = recorded::root();
        facts.status.effective = 1 << Capability::Bpf as u32 | 1 << Capability::Perfmon as u32;
        let reason = "perf_event_open: Permission denied (os error 13)";
        let outcome = outcomes::except("page_faults", ProbeState::Failed, reason);
        let fix = find(&facts, &outcome, "page_faults").fix.expect("a fix");
        assert_eq!(fix, "sudo sysctl kernel.perf_event_paranoid=2");
    }
}
