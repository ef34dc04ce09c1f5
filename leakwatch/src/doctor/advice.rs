//! From the kernel's answer to its most likely cause on this host.

use std::{error::Error, io};

use super::{
    capabilities::{self, Capability},
    confinement,
    facts::{Facts, Lockdown},
    kernel_version, limits,
    surroundings::Grant,
};
use crate::kernel::{KernelError, catalog::OLDEST_KERNEL};

/// What helps against a kernel without type information.
pub(super) const BOOT_WITH_BTF: &str = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y";

const STILL_WORKS: &str = "`leakwatch top --connect SOCKET` shows what an agent that runs on this host sees";
const ASK_THE_VERIFIER: &str = "LEAKWATCH_LOG=debug leakwatch doctor";

/// Why something failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The most likely cause on this host.
    pub cause: String,
    /// One command or setting that changes it.
    pub fix: Option<String>,
    /// What can be had without it.
    pub still_works: &'static str,
}

impl Advice {
    fn new(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            fix: Some(fix.into()),
            still_works: STILL_WORKS,
        }
    }
}

/// What to do about `error` on this host.
pub fn advice(error: &KernelError) -> Advice {
    advise(error, &Facts::read())
}

pub(super) fn advise(error: &KernelError, facts: &Facts) -> Advice {
    if kernel_version::is_too_old(facts) {
        let (major, minor) = OLDEST_KERNEL;
        return Advice::new(
            format!(
                "Linux {} is older than {major}.{minor}, the oldest supported",
                facts.release
            ),
            format!("boot Linux {major}.{minor} or newer"),
        );
    }
    match error {
        KernelError::NoBtf(source) if source.kind() == io::ErrorKind::NotFound => Advice::new(
            "this kernel was built without its type information, or /sys is not mounted here",
            BOOT_WITH_BTF,
        ),
        KernelError::Btf(_) | KernelError::ParseBtf(_) => Advice::new(
            "this kernel lays out its structures as this version of leakwatch does not know",
            "update leakwatch; if it is the newest, report the output of: leakwatch doctor -o json",
        ),
        KernelError::Program(_) | KernelError::NoMap(_) => {
            Advice::new("this leakwatch was built wrongly", "cargo xtask build")
        }
        KernelError::NoBtf(_)
        | KernelError::Load(_)
        | KernelError::RequiredProbe { .. }
        | KernelError::Iterator { .. }
        | KernelError::ProgramCall { .. }
        | KernelError::Map { .. }
        | KernelError::Io { .. } => refused(errno(error), facts),
    }
}

/// Why the kernel answered `errno` to a system call that loads or reads.
pub(super) fn refused(errno: Option<i32>, facts: &Facts) -> Advice {
    if facts.lockdown == Some(Lockdown::Confidentiality) {
        // The verifier then knows no helper that reads the kernel: EINVAL, not EPERM.
        return Advice::new(
            "the kernel is locked down for confidentiality: no BPF program may read it",
            "boot with lockdown=integrity on the kernel's command line",
        );
    }
    match errno {
        Some(libc::EPERM | libc::EACCES) => denied(facts),
        Some(libc::ENOMEM) if limits::memlock_is_tight(facts) => memlock(facts),
        Some(libc::ENOMEM) => Advice::new(
            "no kernel memory for the eBPF maps: the memory cgroup of this process is full",
            "raise the memory limit of its container or unit to 256 MiB",
        ),
        Some(libc::ENOSYS) if facts.status.seccomp_filter => seccomp(facts),
        Some(libc::ENOSYS) => Advice::new(
            "this kernel has no bpf()",
            "boot a kernel built with CONFIG_BPF_SYSCALL=y",
        ),
        _ => Advice::new(
            "not known; the log has the verifier's own words",
            ASK_THE_VERIFIER,
        ),
    }
}

fn denied(facts: &Facts) -> Advice {
    let grant = |cause: String, grant| Advice::new(cause, facts.surroundings.how_to(grant));
    let status = facts.status;
    if !status.may_load_probes() {
        let missing = match (status.has(Capability::Bpf), status.has(Capability::Perfmon)) {
            (true, _) => "CAP_PERFMON",
            (false, true) => "CAP_BPF",
            (false, false) => "CAP_BPF and CAP_PERFMON",
        };
        let who = match status.euid {
            Some(0) => format!("root here lacks {missing}"),
            Some(uid) => format!("uid {uid} is not root and lacks {missing}"),
            None => format!("this process lacks {missing}"),
        };
        return Advice::new(who, capabilities::how_to_get_them(facts));
    }
    if facts.in_host_user_namespace == Some(false) {
        let cause = "the capabilities are those of a user namespace, which are none for the kernel";
        return grant(cause.to_owned(), Grant::HostUsers);
    }
    if limits::memlock_is_tight(facts) {
        return memlock(facts);
    }
    if facts.status.seccomp_filter {
        return seccomp(facts);
    }
    if confinement::is_confined(facts) {
        let label = facts.lsm_label.as_deref().unwrap_or_default();
        return grant(
            format!("the security module confines this process as {label}"),
            Grant::Label,
        );
    }
    Advice::new(
        "a security module refused it although the capabilities are effective",
        "sudo dmesg | grep -iE 'lockdown|apparmor|avc|bpf'",
    )
}

fn seccomp(facts: &Facts) -> Advice {
    Advice::new(
        "a seccomp filter refuses bpf() although the capabilities are effective",
        facts.surroundings.how_to(Grant::SystemCalls),
    )
}

fn memlock(facts: &Facts) -> Advice {
    let limit = facts.memlock.unwrap_or(u64::MAX) / 1024;
    Advice::new(
        format!(
            "before Linux 5.11 eBPF maps count as locked memory, of which this process may have {limit} KiB"
        ),
        "sudo prlimit --memlock=unlimited leakwatch",
    )
}

/// The error and what is behind it, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Some errors repeat their source.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// The kernel's answer behind an error.
pub(super) fn errno(error: &KernelError) -> Option<i32> {
    errno_in(&chain(error))
}

/// The number in `Operation not permitted (os error 1)`: a transparent error hides its `io::Error` from the chain of sources
/// and shows it only in its text.
pub(super) fn errno_in(text: &str) -> Option<i32> {
    text.rsplit_once("(os error ")?.1.split(')').next()?.parse().ok()
}

/// Whether the kernel said no for want of permission.
pub(super) fn is_denial(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EPERM | libc::EACCES))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{advise, chain, errno};
    use crate::{
        doctor::facts::{Facts, Lockdown, ProcessStatus, recorded},
        kernel::KernelError,
    };

    fn refused(errno: i32) -> KernelError {
        KernelError::RequiredProbe {
            program: "tasks",
            hook: "iter/task".to_owned(),
            reason: format!("bpf(BPF_PROG_LOAD): {}", io::Error::from_raw_os_error(errno)),
        }
    }

    /// Cause and fix.
    fn told(error: &KernelError, facts: &Facts) -> (String, String) {
        let advice = advise(error, facts);
        (advice.cause, advice.fix.expect("a fix"))
    }

    #[test]
    fn not_root() {
        let (cause, fix) = told(&refused(libc::EPERM), &recorded::nobody());
        assert_eq!(cause, "uid 65534 is not root and lacks CAP_BPF and CAP_PERFMON");
        assert_eq!(fix, "sudo leakwatch");
    }

    #[test]
    fn a_container_without_capabilities() {
        let (cause, fix) = told(&refused(libc::EPERM), &recorded::container());
        assert_eq!(cause, "root here lacks CAP_BPF and CAP_PERFMON");
        assert!(
            fix.starts_with("docker run ") && fix.contains("--privileged"),
            "{fix}"
        );
    }

    #[test]
    fn seccomp_when_all_capabilities_are_effective() {
        let status = "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n";
        let facts = Facts {
            status: ProcessStatus::parse(status),
            ..recorded::root()
        };
        for errno in [libc::EPERM, libc::ENOSYS] {
            assert!(told(&refused(errno), &facts).0.contains("seccomp"), "{errno}");
        }
    }

    #[test]
    fn capabilities_of_a_user_namespace() {
        let facts = Facts {
            in_host_user_namespace: Some(false),
            ..recorded::root()
        };
        assert!(told(&refused(libc::EPERM), &facts).0.contains("user namespace"));
    }

    #[test]
    fn a_security_module() {
        let facts = Facts {
            lsm_label: Some("leakwatch-profile (enforce)".to_owned()),
            ..recorded::root()
        };
        assert!(
            told(&refused(libc::EACCES), &facts)
                .0
                .contains("leakwatch-profile")
        );
        assert!(
            told(&refused(libc::EACCES), &recorded::root())
                .1
                .contains("dmesg")
        );
    }

    #[test]
    fn lockdown_answers_einval() {
        let facts = Facts {
            lockdown: Some(Lockdown::Confidentiality),
            ..recorded::root()
        };
        assert!(told(&refused(libc::EINVAL), &facts).0.contains("locked down"));
        let (cause, fix) = told(&refused(libc::EINVAL), &recorded::root());
        assert!(cause.starts_with("not known"));
        assert!(fix.contains("LEAKWATCH_LOG=debug"));
    }

    #[test]
    fn type_information_and_old_kernels() {
        let missing = KernelError::NoBtf(io::Error::from(io::ErrorKind::NotFound));
        assert!(
            told(&missing, &recorded::root())
                .1
                .contains("CONFIG_DEBUG_INFO_BTF")
        );
        let old = Facts {
            release: "4.18.0-553.el8.x86_64".to_owned(),
            ..recorded::nobody()
        };
        assert!(told(&missing, &old).0.contains("older than 5.10"));
        assert!(told(&refused(libc::EPERM), &old).1.starts_with("boot Linux 5.10"));
    }

    #[test]
    fn locked_memory_on_old_kernels_and_cgroup_memory_on_new_ones() {
        let mut facts = Facts {
            release: "5.10.0-46-amd64".to_owned(),
            memlock: Some(65_536),
            ..recorded::root()
        };
        facts.status.effective &= !(1 << 24);
        for errno in [libc::EPERM, libc::ENOMEM] {
            assert!(told(&refused(errno), &facts).0.contains("64 KiB"), "{errno}");
        }
        assert!(
            told(&refused(libc::ENOMEM), &recorded::root())
                .0
                .contains("cgroup")
        );
    }

    #[test]
    fn the_answer_is_found_behind_an_error_and_said_once() {
        let error = KernelError::Io {
            what: "reading the probes' counters",
            source: io::Error::from_raw_os_error(libc::EPERM),
        };
        assert_eq!(errno(&error), Some(libc::EPERM));
        assert_eq!(chain(&error).matches("os error 1").count(), 1);
        assert_eq!(errno(&KernelError::NoMap("SITES")), None);
    }
}
