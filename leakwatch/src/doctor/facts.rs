//! What this host and this process are like. All reading is here, so that a check is a function of recorded facts.

use std::{fs, io, path::Path};

use rustix::{
    process::{Resource, getrlimit},
    system::uname,
};

use super::surroundings::{Namespaces, Surroundings};
use crate::kernel::BTF_PATH;

/// Inodes of the initial namespaces, the host's: `include/linux/proc_ns.h`.
const INITIAL_IPC_NAMESPACE: u64 = 0xEFFF_FFFF;
const INITIAL_UTS_NAMESPACE: u64 = 0xEFFF_FFFE;
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Everything that the checks look at. What could not be read is `None`.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// `uname -r`.
    pub(super) release: String,
    /// `uname -m`.
    pub(super) arch: String,
    /// Size of the kernel's type information, bytes, or why it cannot be opened.
    pub(super) btf: Result<u64, String>,
    /// This process.
    pub(super) status: ProcessStatus,
    /// Whether PIDs here are the host's.
    pub(super) in_host_pid_namespace: Option<bool>,
    /// Whether capabilities here are good for the kernel.
    pub(super) in_host_user_namespace: Option<bool>,
    /// What a security module calls this process.
    pub(super) lsm_label: Option<String>,
    /// What the kernel keeps from root.
    pub(super) lockdown: Option<Lockdown>,
    /// Soft limit of locked memory, bytes; `None` is unlimited.
    pub(super) memlock: Option<u64>,
    /// `kernel.perf_event_paranoid`.
    pub(super) perf_event_paranoid: Option<i32>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub(super) unprivileged_bpf_disabled: Option<i32>,
    /// `/proc/self/cgroup`.
    pub(super) cgroup: String,
    /// Who started this process, and so who can give it more.
    pub(super) surroundings: Surroundings,
}

impl Facts {
    pub(super) fn read() -> Self {
        let uname = uname();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let namespaces = Namespaces {
            pids: in_namespace("pid", INITIAL_PID_NAMESPACE),
            ipc: in_namespace("ipc", INITIAL_IPC_NAMESPACE),
            host_name: in_namespace("uts", INITIAL_UTS_NAMESPACE),
        };
        Self {
            release: uname.release().to_string_lossy().into_owned(),
            arch: uname.machine().to_string_lossy().into_owned(),
            btf: btf_size().map_err(|error| error.to_string()),
            status: ProcessStatus::parse(&status),
            in_host_pid_namespace: namespaces.pids,
            in_host_user_namespace: in_namespace("user", INITIAL_USER_NAMESPACE),
            lsm_label: fs::read("/proc/self/attr/current")
                .ok()
                .and_then(|label| lsm_label(&label)),
            lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
                .ok()
                .and_then(|text| Lockdown::parse(&text)),
            memlock: getrlimit(Resource::Memlock).current,
            perf_event_paranoid: sysctl("perf_event_paranoid"),
            unprivileged_bpf_disabled: sysctl("unprivileged_bpf_disabled"),
            cgroup: fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
            surroundings: Surroundings::detect(
                |variable| std::env::var_os(variable).is_some(),
                |path| Path::new(path).exists(),
                namespaces,
            ),
        }
    }
}

fn btf_size() -> io::Result<u64> {
    Ok(fs::File::open(BTF_PATH)?.metadata()?.len())
}

fn in_namespace(kind: &str, initial: u64) -> Option<bool> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    Some(namespace_inode(link.to_str()?)? == initial)
}

fn sysctl(name: &str) -> Option<i32> {
    fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The number in `pid:[4026531836]`.
fn namespace_inode(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// `AppArmor` and `SELinux` end their labels differently; no security module with labels is an error or empty.
fn lsm_label(text: &[u8]) -> Option<String> {
    let label = String::from_utf8_lossy(text);
    let label = label.trim_end_matches(['\0', '\n']);
    (!label.is_empty()).then(|| label.to_owned())
}

/// The lines of `/proc/self/status` that decide what a process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessStatus {
    /// Effective user id; `None` when the line was not there.
    pub(super) euid: Option<u32>,
    /// Effective capabilities, one bit each.
    pub(super) effective: u64,
    /// Whether a seccomp filter judges its system calls.
    pub(super) seccomp_filter: bool,
}

impl ProcessStatus {
    pub(super) fn parse(text: &str) -> Self {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        Self {
            // Real, effective, saved, file system.
            euid: value("Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok()),
            effective: value("CapEff")
                .and_then(|bits| u64::from_str_radix(bits, 16).ok())
                .unwrap_or(0),
            seccomp_filter: value("Seccomp") == Some("2"),
        }
    }
}

/// What the kernel keeps even from root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lockdown {
    None,
    /// Nothing changes the kernel.
    Integrity,
    /// And nothing reads it: no BPF program may.
    Confidentiality,
}

impl Lockdown {
    /// Reads `none [integrity] confidentiality`.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('[')?.1.split_once(']')?.0 {
            "none" => Some(Self::None),
            "integrity" => Some(Self::Integrity),
            "confidentiality" => Some(Self::Confidentiality),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod recorded {
    //! `/proc/self/status` and the rest, as they were on real hosts.

    use super::{Facts, ProcessStatus, Surroundings};

    const ROOT: &str = "Name:\tleakwatch\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n";
    const NOBODY: &str =
        "Name:\tleakwatch\nUid:\t65534\t65534\t65534\t65534\nCapEff:\t0000000000000000\nSeccomp:\t0\n";
    /// Docker's default set.
    const CONTAINER: &str = "Name:\tleakwatch\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n";

    /// Root on a host with everything leakwatch wants.
    pub(in crate::doctor) fn root() -> Facts {
        Facts {
            release: "6.12.48+deb13-amd64".to_owned(),
            arch: "x86_64".to_owned(),
            btf: Ok(6_291_456),
            status: ProcessStatus::parse(ROOT),
            in_host_pid_namespace: Some(true),
            in_host_user_namespace: Some(true),
            lsm_label: Some("unconfined".to_owned()),
            lockdown: Some(super::Lockdown::None),
            memlock: Some(8 << 20),
            perf_event_paranoid: Some(3),
            unprivileged_bpf_disabled: Some(2),
            cgroup: "0::/user.slice/user-1000.slice/session-2.scope\n".to_owned(),
            surroundings: Surroundings::Host,
        }
    }

    /// A user without privilege on the same host.
    pub(in crate::doctor) fn nobody() -> Facts {
        Facts {
            status: ProcessStatus::parse(NOBODY),
            ..root()
        }
    }

    /// Root of a container that was given nothing.
    pub(in crate::doctor) fn container() -> Facts {
        Facts {
            status: ProcessStatus::parse(CONTAINER),
            in_host_pid_namespace: Some(false),
            lsm_label: Some("docker-default (enforce)".to_owned()),
            cgroup: "0::/\n".to_owned(),
            surroundings: Surroundings::Docker,
            ..root()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lockdown, ProcessStatus, lsm_label, namespace_inode};

    #[test]
    fn status_of_a_setuid_process_under_a_filter() {
        let text = "Name:\tx\nUid:\t1000\t0\t0\t0\nCapPrm:\t0000000000000001\nCapEff:\t000000c000000000\n\
                    NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let expected = ProcessStatus {
            euid: Some(0),
            effective: 0xc0_0000_0000,
            seccomp_filter: true,
        };
        assert_eq!(ProcessStatus::parse(text), expected);
        assert_eq!(
            ProcessStatus::parse("CapEff:\tnonsense\nUid:\n"),
            ProcessStatus::default()
        );
    }

    #[test]
    fn lockdown_is_what_stands_in_brackets() {
        assert_eq!(
            Lockdown::parse("[none] integrity confidentiality\n"),
            Some(Lockdown::None)
        );
        assert_eq!(
            Lockdown::parse("none [integrity] confidentiality\n"),
            Some(Lockdown::Integrity)
        );
        let confidentiality = Lockdown::parse("none integrity [confidentiality]\n");
        assert_eq!(confidentiality, Some(Lockdown::Confidentiality));
        assert_eq!(Lockdown::parse("none integrity"), None);
    }

    #[test]
    fn labels_and_namespaces() {
        assert_eq!(lsm_label(b"unconfined\n").as_deref(), Some("unconfined"));
        let selinux = b"system_u:system_r:container_t:s0:c1,c2\0";
        assert_eq!(
            lsm_label(selinux).as_deref(),
            Some("system_u:system_r:container_t:s0:c1,c2")
        );
        assert_eq!(lsm_label(b"\0"), None);
        assert_eq!(
            namespace_inode("pid:[4026531836]"),
            Some(super::INITIAL_PID_NAMESPACE)
        );
        assert_eq!(namespace_inode("pid:4026531836"), None);
    }
}
