//! How much of the host can be seen from here.

use super::{Check, Status, facts::Facts, surroundings::Grant};

pub(super) fn checks(facts: &Facts) -> [Check; 2] {
    [pid_namespace(facts), cgroup(facts)]
}

fn pid_namespace(facts: &Facts) -> Check {
    let name = "pid_namespace";
    match facts.in_host_pid_namespace {
        Some(true) => Check::pass(name, "the host's"),
        // kernel/bpf/task_iter.c walks the PID namespace of the reader.
        Some(false) => Check::problem(
            name,
            Status::Warn,
            "not the host's: PIDs in /proc here are others than the kernel's",
            "every process outside this namespace, and programs and containers of those inside",
            Some(facts.surroundings.how_to(Grant::HostPids).to_owned()),
        ),
        None => Check::problem(
            name,
            Status::Warn,
            "/proc/self/ns/pid cannot be read: is /proc mounted?",
            "programs, command lines and containers",
            Some("mount -t proc proc /proc".to_owned()),
        ),
    }
}

/// Container ids are read from `/proc/PID/cgroup`, which has them in every mode.
fn cgroup(facts: &Facts) -> Check {
    let mut unified = false;
    let mut controllers = 0;
    for line in facts.cgroup.lines() {
        if line.starts_with("0::") {
            unified = true;
        } else {
            controllers += 1;
        }
    }
    let found = match (unified, controllers) {
        (true, 0) => "v2",
        (true, _) => "hybrid: v1 controllers, and v2 beside them",
        (false, 0) => {
            return Check::problem(
                "cgroup",
                Status::Warn,
                "none: this kernel has no cgroups, or /proc is not mounted",
                "container ids",
                None,
            );
        }
        (false, _) => "v1",
    };
    Check::pass("cgroup", found)
}

#[cfg(test)]
mod tests {
    use super::checks;
    use crate::doctor::{
        Status,
        facts::{Facts, recorded},
    };

    #[test]
    fn cgroup_modes() {
        let found = |cgroup: &str| {
            let cgroup = cgroup.to_owned();
            checks(&Facts {
                cgroup,
                ..recorded::root()
            })[1]
                .found
                .clone()
        };
        assert_eq!(found("0::/init.scope\n"), "v2");
        assert!(found("9:name=systemd:/\n4:memory:/a\n0::/\n").starts_with("hybrid"));
        assert_eq!(found("4:memory:/a\n1:cpu:/\n"), "v1");
        assert!(found("").starts_with("none"));
    }

    #[test]
    fn a_container_without_the_hosts_pids_is_told_how_to_get_them() {
        let [pids, _] = checks(&recorded::container());
        assert_eq!(pids.status, Status::Warn);
        assert!(pids.fix.expect("a fix").contains("--pid=host"));
        assert_eq!(checks(&recorded::root())[0].status, Status::Pass);
    }
}
