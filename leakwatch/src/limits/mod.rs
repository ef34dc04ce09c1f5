//! Limits in force and what counts against each: of a process, of every cgroup around it, of its user, of the host.
//!
//! [`HostLimits`] reads them; everything else here is a function of the texts that it reads.

mod cgroup;
mod cgroup_paths;
mod host;
mod rlimits;
mod source;

use crate::model::{identity::ProcessId, snapshot::LimitUse};

pub use source::HostLimits;

/// What is known of a process whose limits are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSubject {
    /// Who.
    pub id: ProcessId,
    /// Its effective user.
    pub uid: u32,
    /// Its cgroup in the default hierarchy; when that changes, its limits are read again.
    pub cgroup_id: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
    /// Mappings.
    pub maps: u64,
    /// Everything mapped, bytes.
    pub total_vm_bytes: u64,
}

/// Where limits come from.
pub trait Limits {
    /// Every known limit that bounds a process, by resource and within one tightest first: by what is left.
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse>;
    /// The limits that all processes share.
    fn of_host(&mut self) -> Vec<LimitUse>;
}

/// By resource; within one the limit that leaves least first.
fn sort(limits: &mut [LimitUse]) {
    limits.sort_by(|a, b| {
        let left = |limits: &LimitUse| limits.limit.value.saturating_sub(limits.limit.in_use);
        (a.resource, left(a), &a.limit.name).cmp(&(b.resource, left(b), &b.limit.name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Limit, Resource};

    #[test]
    fn what_leaves_least_comes_first() {
        let limit = |resource, name: &str, value, in_use| LimitUse {
            resource,
            limit: Limit {
                name: name.into(),
                value,
                in_use,
            },
        };
        let mut limits = [
            limit(Resource::Thread, "pids.max of /a/b", 100, 10),
            limit(Resource::Fd, "RLIMIT_NOFILE", 1024, 1000),
            limit(Resource::Thread, "pids.max of /a", 1000, 980),
            limit(Resource::Thread, "RLIMIT_NPROC", 5, 9),
        ];
        sort(&mut limits);
        let names = limits.each_ref().map(|limit| &*limit.limit.name);
        assert_eq!(
            names,
            [
                "RLIMIT_NOFILE",
                "RLIMIT_NPROC",
                "pids.max of /a",
                "pids.max of /a/b"
            ]
        );
    }
}
