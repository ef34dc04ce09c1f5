//! The container a process is in, from its cgroup paths.

/// Container id, from the lines of `/proc/PID/cgroup`: the last 64 hexadecimal digits that stand alone in the path, with
/// whatever prefix the runtime gives them (`docker-`, `cri-containerd-`, `crio-`, `libpod-`).
///
/// The last wins because clusters are nested (kind, minikube). Monitors such as `crio-conmon-` are not in the container.
pub fn id(cgroup: &str) -> Option<&str> {
    // The unified hierarchy knows best; on hybrid hosts its line is often the root, and the others know.
    let unified = cgroup.lines().filter_map(|line| line.strip_prefix("0::"));
    let others = cgroup.lines().filter(|line| !line.starts_with("0::"));
    unified
        .chain(others.filter_map(|line| line.splitn(3, ':').nth(2)))
        .find_map(in_path)
}

fn in_path(path: &str) -> Option<&str> {
    path.split(['/', ':']).rev().find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        if part.contains("conmon-") {
            return None;
        }
        let id = part.rsplit('-').next()?;
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::id;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    #[test]
    fn known_runtimes() {
        for path in [
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod29349498_197c.slice/cri-containerd-ID.scope",
            "/kubepods/besteffort/pod05e102bf-8744/ID",
            "/system.slice/containerd.service/kubepods-burstable-pod29349498.slice:cri-containerd:ID",
            "/kubepods.slice/pod1/crio-ID.scope/container",
            "/kubepods/pod1/crio-ID",
            "/system.slice/docker-ID.scope",
            "/docker/ID",
            "/machine.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/libpod_parent/libpod-ID",
        ] {
            let lines = format!("0::{}\n", path.replace("ID", A));
            assert_eq!(id(&lines), Some(A), "{path}");
        }
    }

    #[test]
    fn the_innermost_wins() {
        let lines = format!("0::/system.slice/docker-{A}.scope/kubelet/kubepods/burstable/pod1/{B}\n");
        assert_eq!(id(&lines), Some(B));
    }

    #[test]
    fn version_1_is_asked_when_version_2_is_the_root() {
        let lines = format!("12:pids:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/\n");
        assert_eq!(id(&lines), Some(A));
    }

    #[test]
    fn services_and_monitors_are_not_containers() {
        assert_eq!(id("0::/system.slice/nginx.service\n"), None);
        assert_eq!(id(&format!("0::/machine.slice/crio-conmon-{A}.scope\n")), None);
        assert_eq!(id(""), None);
    }
}
