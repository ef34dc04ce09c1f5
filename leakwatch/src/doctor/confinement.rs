//! What keeps even a privileged process from the kernel: seccomp, security modules, lockdown.

use super::{
    Check, Status,
    facts::{Facts, Lockdown},
    outcome::Outcome,
    surroundings::Grant,
};

/// What a label means for leakwatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confinement {
    None,
    /// `AppArmor`, enforcing.
    AppArmor,
    /// `SELinux`, in a type made for containers.
    SeLinux,
}

pub(super) fn checks(facts: &Facts, outcome: &Outcome) -> [Check; 3] {
    [
        seccomp(facts, outcome),
        label(facts, outcome),
        lockdown(facts, outcome),
    ]
}

/// Whether the label keeps a process from `bpf()` or from looking at others.
pub(super) fn is_confined(facts: &Facts) -> bool {
    facts
        .lsm_label
        .as_deref()
        .is_some_and(|label| confinement(label) != Confinement::None)
}

fn confinement(label: &str) -> Confinement {
    if label.ends_with("(enforce)") {
        Confinement::AppArmor
    } else if label
        .split(':')
        .nth(2)
        .is_some_and(|kind| kind.starts_with("container_"))
    {
        Confinement::SeLinux
    } else {
        Confinement::None
    }
}

fn seccomp(facts: &Facts, outcome: &Outcome) -> Check {
    let name = "seccomp";
    if !facts.status.seccomp_filter {
        return Check::pass(name, "no filter");
    }
    let refuses = outcome.denied() && facts.status.may_load_probes() || outcome.lacks_call();
    if !refuses {
        return Check::pass(
            name,
            "a filter is set; no sign that it refuses bpf() or perf_event_open()",
        );
    }
    Check::problem(
        name,
        outcome.suspect(),
        "a filter is set, and system calls are refused for which nothing else is to blame",
        "whatever needs bpf() and perf_event_open()",
        Some(facts.surroundings.how_to(Grant::SystemCalls).to_owned()),
    )
}

fn label(facts: &Facts, outcome: &Outcome) -> Check {
    let name = "security_module";
    let Some(label) = &facts.lsm_label else {
        return Check::pass(name, "this process has no label");
    };
    // Without the capabilities nobody asks the module.
    let refuses = outcome.denied() && facts.status.may_load_probes();
    let (status, lost) = match confinement(label) {
        Confinement::AppArmor | Confinement::SeLinux if refuses => {
            (outcome.suspect(), "whatever needs bpf() and perf_event_open()")
        }
        // A profile refuses to read other processes' /proc entries by its ptrace rules.
        Confinement::AppArmor => (
            Status::Warn,
            "program, language and file mappings of processes outside the profile",
        ),
        // A permissive policy is as good as none.
        Confinement::SeLinux | Confinement::None => return Check::pass(name, label.clone()),
    };
    let fix = facts.surroundings.how_to(Grant::Label).to_owned();
    Check::problem(name, status, label.clone(), lost, Some(fix))
}

fn lockdown(facts: &Facts, outcome: &Outcome) -> Check {
    let name = "lockdown";
    match facts.lockdown {
        None => Check::pass(
            name,
            "not known: this kernel has none, or securityfs is not mounted here",
        ),
        Some(Lockdown::None) => Check::pass(name, "none"),
        Some(Lockdown::Integrity) => Check::pass(name, "integrity: BPF programs may read the kernel"),
        Some(Lockdown::Confidentiality) => Check::problem(
            name,
            outcome.suspect(),
            "confidentiality: no BPF program may read the kernel",
            "everything: the levels are read from kernel structures",
            Some("boot with lockdown=integrity on the kernel's command line".to_owned()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Confinement, checks, confinement};
    use crate::{
        doctor::{
            Status,
            facts::{Facts, Lockdown, recorded},
            outcome::recorded as outcomes,
        },
        model::health::ProbeState,
    };

    #[test]
    fn labels_of_both_kinds() {
        assert_eq!(confinement("docker-default (enforce)"), Confinement::AppArmor);
        assert_eq!(confinement("docker-default (complain)"), Confinement::None);
        assert_eq!(confinement("unconfined"), Confinement::None);
        let selinux = |kind: &str| confinement(&format!("system_u:system_r:{kind}:s0:c1,c2"));
        assert_eq!(selinux("container_t"), Confinement::SeLinux);
        assert_eq!(selinux("spc_t"), Confinement::None);
    }

    #[test]
    fn a_filter_is_blamed_only_when_capabilities_are_not_the_cause() {
        let mut facts = recorded::root();
        facts.status.seccomp_filter = true;
        assert_eq!(checks(&facts, &outcomes::attached())[0].status, Status::Pass);
        assert_eq!(checks(&facts, &outcomes::denied())[0].status, Status::Fail);
        assert_eq!(
            checks(&recorded::container(), &outcomes::denied())[0].status,
            Status::Pass
        );
        let reason = "bpf(BPF_PROG_LOAD): Function not implemented (os error 38)";
        let absent = outcomes::except("tasks", ProbeState::Failed, reason);
        assert_eq!(checks(&facts, &absent)[0].status, Status::Fail);
    }

    #[test]
    fn a_profile_costs_something_and_is_blamed_only_when_it_can_be_the_cause() {
        let facts = Facts {
            lsm_label: Some("docker-default (enforce)".to_owned()),
            ..recorded::root()
        };
        assert_eq!(checks(&facts, &outcomes::attached())[1].status, Status::Warn);
        assert_eq!(checks(&facts, &outcomes::denied())[1].status, Status::Fail);
        assert_eq!(
            checks(&recorded::container(), &outcomes::denied())[1].status,
            Status::Warn
        );
    }

    #[test]
    fn lockdown_for_confidentiality_only() {
        let status = |lockdown, outcome: &_| {
            let facts = Facts {
                lockdown,
                ..recorded::root()
            };
            checks(&facts, outcome)[2].status
        };
        assert_eq!(
            status(Some(Lockdown::Integrity), &outcomes::attached()),
            Status::Pass
        );
        assert_eq!(
            status(Some(Lockdown::Confidentiality), &outcomes::denied()),
            Status::Fail
        );
        assert_eq!(status(None, &outcomes::denied()), Status::Pass);
    }
}
