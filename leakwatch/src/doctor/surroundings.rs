//! Who started leakwatch, and so in whose words more privilege is asked for.

/// Where this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    Host,
    Kubernetes,
    Docker,
    Podman,
    /// A PID namespace of its own that nobody known made.
    Container,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    Root,
    /// Capabilities that were taken from root.
    Capabilities,
    /// System calls that a seccomp filter refuses.
    SystemCalls,
    /// What the label of a security module refuses.
    Label,
    HostPids,
    /// Capabilities that are good for the kernel, not only inside a user namespace.
    HostUsers,
}

/// Whether this process shares the namespaces of the host; `None` is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Namespaces {
    pub(super) pids: Option<bool>,
    pub(super) ipc: Option<bool>,
    pub(super) host_name: Option<bool>,
}

impl Surroundings {
    pub(super) fn detect(
        variable: impl Fn(&str) -> bool,
        exists: impl Fn(&str) -> bool,
        namespaces: Namespaces,
    ) -> Self {
        let Namespaces { pids, ipc, host_name } = namespaces;
        // An image that was made into a virtual machine still has the marks of its engine.
        let is_contained = [pids, ipc, host_name].contains(&Some(false));
        if variable("KUBERNETES_SERVICE_HOST") {
            Self::Kubernetes
        } else if is_contained && exists("/.dockerenv") {
            Self::Docker
        } else if is_contained && exists("/run/.containerenv") {
            Self::Podman
        } else if pids == Some(false) {
            Self::Container
        } else {
            Self::Host
        }
    }

    /// One command or setting that gives it.
    pub(super) fn how_to(self, grant: Grant) -> &'static str {
        match (self, grant) {
            (Self::Docker, _) => "docker run --user=0 --privileged --pid=host --userns=host IMAGE",
            (Self::Podman, _) => "sudo podman run --user=0 --privileged --pid=host IMAGE",
            (Self::Kubernetes, Grant::Root | Grant::Capabilities) => {
                "in the pod: securityContext.privileged: true, or capabilities.add: [BPF, PERFMON, SYS_PTRACE, \
                 DAC_READ_SEARCH, SYS_ADMIN], as root"
            }
            (Self::Kubernetes, Grant::SystemCalls) => {
                "in the pod: securityContext.seccompProfile.type: Unconfined"
            }
            (Self::Kubernetes, Grant::Label) => {
                "in the pod: securityContext.privileged: true, or appArmorProfile.type: Unconfined, or \
                 seLinuxOptions.type: spc_t"
            }
            (Self::Kubernetes, Grant::HostPids) => "in the pod: hostPID: true",
            (Self::Kubernetes, Grant::HostUsers) => "in the pod: hostUsers: true",
            (Self::Host | Self::Container, Grant::SystemCalls) => {
                "in its systemd unit: SystemCallFilter=bpf perf_event_open; in a container: run it without a seccomp \
                 profile"
            }
            (Self::Host | Self::Container, Grant::Label) => {
                "sudo dmesg | grep -iE 'apparmor|avc' (what was refused)"
            }
            (Self::Host, Grant::Root | Grant::HostUsers) => "sudo leakwatch",
            (Self::Host, Grant::Capabilities) => {
                "in its systemd unit: CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH \
                 CAP_SYS_ADMIN"
            }
            (Self::Container, Grant::Root | Grant::Capabilities) => {
                "run it as root, and give the container CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN"
            }
            (Self::Container, Grant::HostUsers) => "run the container in the host's user namespace",
            (Self::Host | Self::Container, Grant::HostPids) => "run it in the host's PID namespace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Namespaces, Surroundings};

    const HOST: Namespaces = Namespaces {
        pids: Some(true),
        ipc: Some(true),
        host_name: Some(true),
    };

    fn detect(variables: &[&str], files: &[&str], namespaces: Namespaces) -> Surroundings {
        Surroundings::detect(
            |name| variables.contains(&name),
            |path| files.contains(&path),
            namespaces,
        )
    }

    #[test]
    fn whoever_left_a_mark() {
        let own_pids = Namespaces {
            pids: Some(false),
            ..HOST
        };
        let host_pids = Namespaces {
            ipc: Some(false),
            ..HOST
        };
        let kubernetes = detect(&["KUBERNETES_SERVICE_HOST"], &[], host_pids);
        assert_eq!(kubernetes, Surroundings::Kubernetes);
        assert_eq!(detect(&[], &["/.dockerenv"], host_pids), Surroundings::Docker);
        assert_eq!(
            detect(&[], &["/run/.containerenv"], own_pids),
            Surroundings::Podman
        );
        assert_eq!(detect(&[], &[], own_pids), Surroundings::Container);
        assert_eq!(detect(&[], &["/.dockerenv"], HOST), Surroundings::Host);
        assert_eq!(detect(&[], &[], Namespaces::default()), Surroundings::Host);
    }

    #[test]
    fn a_pod_is_told_the_field_to_set() {
        let pod = |grant| Surroundings::Kubernetes.how_to(grant);
        assert!(pod(Grant::Capabilities).contains("privileged: true"));
        assert!(pod(Grant::SystemCalls).contains("seccompProfile"));
        assert!(pod(Grant::HostPids).contains("hostPID: true"));
        assert_eq!(Surroundings::Host.how_to(Grant::Root), "sudo leakwatch");
    }
}
