//! What this process may do, capability by capability.

use super::{
    Check, Status,
    facts::{Facts, ProcessStatus},
    outcome::Outcome,
    surroundings::Grant,
};

/// A capability by its bit in include/uapi/linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    DacOverride = 1,
    DacReadSearch = 2,
    SysPtrace = 19,
    SysAdmin = 21,
    SysResource = 24,
    Perfmon = 38,
    Bpf = 39,
}

/// A capability that leakwatch has a use for.
struct Want {
    capability: Capability,
    name: &'static str,
    /// Another one that allows the same.
    stand_in: Option<(Capability, &'static str)>,
    /// Nothing attaches without it.
    required: bool,
    lost: &'static str,
}

const WANTED: [Want; 5] = [
    Want {
        capability: Capability::Bpf,
        name: "CAP_BPF",
        stand_in: Some((Capability::SysAdmin, "CAP_SYS_ADMIN")),
        required: true,
        lost: "everything: no eBPF map or program can be loaded",
    },
    Want {
        capability: Capability::Perfmon,
        name: "CAP_PERFMON",
        stand_in: Some((Capability::SysAdmin, "CAP_SYS_ADMIN")),
        required: true,
        lost: "everything: no program may look at the kernel",
    },
    Want {
        capability: Capability::SysPtrace,
        name: "CAP_SYS_PTRACE",
        stand_in: None,
        required: false,
        lost: "program, language and file mappings of processes with other users or more privilege",
    },
    Want {
        capability: Capability::DacReadSearch,
        name: "CAP_DAC_READ_SEARCH",
        stand_in: Some((Capability::DacOverride, "CAP_DAC_OVERRIDE")),
        required: false,
        lost: "language of programs whose file is not readable for all",
    },
    Want {
        // kernel/bpf/syscall.c, bpf_enable_stats().
        capability: Capability::SysAdmin,
        name: "CAP_SYS_ADMIN",
        stand_in: None,
        required: false,
        lost: "how often and how long leakwatch's own probes run",
    },
];

pub(super) fn checks(facts: &Facts, outcome: &Outcome) -> Vec<Check> {
    let mut checks = vec![user(facts, outcome)];
    checks.extend(WANTED.iter().map(|want| want.check(facts, outcome)));
    checks.push(user_namespace(facts, outcome));
    checks
}

impl ProcessStatus {
    pub(super) fn has(&self, capability: Capability) -> bool {
        self.effective & (1 << capability as u32) != 0
    }

    /// Whether the kernel lets it load programs that look at the kernel.
    pub(super) fn may_load_probes(&self) -> bool {
        self.has(Capability::SysAdmin) || (self.has(Capability::Bpf) && self.has(Capability::Perfmon))
    }

    pub(super) fn is_root(&self) -> bool {
        self.euid == Some(0)
    }
}

impl Want {
    fn check(&self, facts: &Facts, outcome: &Outcome) -> Check {
        if facts.status.has(self.capability) {
            return Check::pass(self.name, "effective");
        }
        if let Some((stand_in, name)) = self.stand_in
            && facts.status.has(stand_in)
        {
            return Check::pass(self.name, format!("not effective; {name} allows the same"));
        }
        let status = if self.required {
            outcome.suspect()
        } else {
            Status::Warn
        };
        let fix = how_to_get_them(facts).to_owned();
        Check::problem(self.name, status, "not effective", self.lost, Some(fix))
    }
}

/// What gives this process the capabilities that it lacks.
pub(super) fn how_to_get_them(facts: &Facts) -> &'static str {
    let grant = if facts.status.is_root() {
        Grant::Capabilities
    } else {
        Grant::Root
    };
    facts.surroundings.how_to(grant)
}

fn user(facts: &Facts, outcome: &Outcome) -> Check {
    let status = facts.status;
    let found = match status.euid {
        Some(0) => "root".to_owned(),
        Some(uid) => format!("uid {uid}"),
        None => "not known: /proc/self/status does not say".to_owned(),
    };
    if status.is_root() || status.may_load_probes() {
        return Check::pass("user", found);
    }
    let fix = how_to_get_them(facts).to_owned();
    let lost = "everything: only root, or who has CAP_BPF and CAP_PERFMON, loads probes";
    Check::problem("user", outcome.suspect(), found, lost, Some(fix))
}

fn user_namespace(facts: &Facts, outcome: &Outcome) -> Check {
    let name = "user_namespace";
    match facts.in_host_user_namespace {
        Some(true) => Check::pass(name, "the host's"),
        Some(false) => Check::problem(
            name,
            outcome.suspect(),
            "not the host's: root and capabilities here are none for the kernel",
            "everything: no eBPF map or program can be loaded",
            Some(facts.surroundings.how_to(Grant::HostUsers).to_owned()),
        ),
        None => Check::pass(name, "not known: /proc/self/ns/user cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Capability, checks};
    use crate::doctor::{
        Check, Status,
        facts::{Facts, recorded},
        outcome::recorded as outcomes,
    };

    fn find(checks: &[Check], name: &str) -> Check {
        checks
            .iter()
            .find(|check| check.name == name)
            .expect("the check")
            .clone()
    }

    #[test]
    fn root_has_them_all() {
        let checks = checks(&recorded::root(), &outcomes::attached());
        assert!(
            checks.iter().all(|check| check.status == Status::Pass),
            "{checks:?}"
        );
    }

    #[test]
    fn without_privilege_each_says_what_is_lost() {
        let checks = checks(&recorded::nobody(), &outcomes::denied());
        let bpf = find(&checks, "CAP_BPF");
        assert_eq!(bpf.status, Status::Fail);
        assert_eq!(bpf.fix.as_deref(), Some("sudo leakwatch"));
        assert_eq!(find(&checks, "CAP_SYS_PTRACE").status, Status::Warn);
        assert_eq!(find(&checks, "user").found, "uid 65534");
    }

    #[test]
    fn a_minimal_set_is_enough_and_sys_admin_stands_in() {
        let mut facts = recorded::root();
        facts.status.effective = 1 << Capability::Bpf as u32 | 1 << Capability::Perfmon as u32;
        let minimal = checks(&facts, &outcomes::attached());
        assert_eq!(find(&minimal, "CAP_PERFMON").status, Status::Pass);
        assert_eq!(find(&minimal, "CAP_SYS_ADMIN").status, Status::Warn);
        facts.status.effective = 1 << Capability::SysAdmin as u32;
        let old = checks(&facts, &outcomes::attached());
        assert_eq!(
            find(&old, "CAP_BPF").found,
            "not effective; CAP_SYS_ADMIN allows the same"
        );
    }

    #[test]
    fn all_capabilities_of_a_user_namespace_are_none() {
        let facts = Facts {
            in_host_user_namespace: Some(false),
            ..recorded::root()
        };
        let checks = checks(&facts, &outcomes::denied());
        assert_eq!(find(&checks, "CAP_BPF").status, Status::Pass);
        assert_eq!(find(&checks, "user_namespace").status, Status::Fail);
    }
}
