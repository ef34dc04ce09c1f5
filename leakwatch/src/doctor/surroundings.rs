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
    Capabilities,
    /// System calls that a seccomp filter refuses.
    SystemCalls,
    /// What the label of a security module refuses.
    Label,
    HostPids,
    /// Capabilities that are good for the kernel, not only inside a user namespace.
    HostUsers,
}

impl Surroundings {
    pub(super) fn detect(
        variable: impl Fn(&str) -> bool,
        exists: impl Fn(&str) -> bool,
        in_host_pid_namespace: Option<bool>,
    ) -> Self {
        if variable("KUBERNETES_SERVICE_HOST") || exists("/var/run/secrets/kubernetes.io") {
            Self::Kubernetes
        } else if exists("/.dockerenv") {
            Self::Docker
        } else if exists("/run/.containerenv") {
            Self::Podman
        } else if in_host_pid_namespace == Some(false) {
            Self::Container
        } else {
            Self::Host
        }
    }

    /// One command or setting that gives it.
    pub(super) fn how_to(self, grant: Grant) -> &'static str {
        match (self, grant) {
            (Self::Docker, _) => "docker run --privileged --pid=host --userns=host IMAGE",
            (Self::Podman, _) => "sudo podman run --privileged --pid=host IMAGE",
            (Self::Kubernetes, Grant::Capabilities) => {
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
            (Self::Host, Grant::Capabilities | Grant::HostUsers) => "sudo leakwatch",
            (Self::Container, Grant::Capabilities) => {
                "give the container CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN"
            }
            (Self::Container, Grant::HostUsers) => "run the container in the host's user namespace",
            (Self::Host | Self::Container, Grant::HostPids) => "run it in the host's PID namespace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Surroundings};

    fn detect(variables: &[&str], files: &[&str], host_pids: Option<bool>) -> Surroundings {
        Surroundings::detect(
            |name| variables.contains(&name),
            |path| files.contains(&path),
            host_pids,
        )
    }

    #[test]
    fn whoever_left_a_mark() {
        let kubernetes = detect(&["KUBERNETES_SERVICE_HOST"], &["/.dockerenv"], Some(true));
        assert_eq!(kubernetes, Surroundings::Kubernetes);
        assert_eq!(detect(&[], &["/.dockerenv"], Some(false)), Surroundings::Docker);
        assert_eq!(
            detect(&[], &["/run/.containerenv"], Some(false)),
            Surroundings::Podman
        );
        assert_eq!(detect(&[], &[], Some(false)), Surroundings::Container);
        assert_eq!(detect(&[], &[], Some(true)), Surroundings::Host);
        assert_eq!(detect(&[], &[], None), Surroundings::Host);
    }

    #[test]
    fn a_pod_is_told_the_field_to_set() {
        let pod = |grant| Surroundings::Kubernetes.how_to(grant);
        assert!(pod(Grant::Capabilities).contains("privileged: true"));
        assert!(pod(Grant::SystemCalls).contains("seccompProfile"));
        assert!(pod(Grant::HostPids).contains("hostPID: true"));
        assert_eq!(Surroundings::Host.how_to(Grant::Capabilities), "sudo leakwatch");
    }
}
