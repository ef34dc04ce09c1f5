//! Whether a pid still is the process that is meant.

use std::fs;

use crate::model::identity::ProcessId;

/// Nanoseconds of a tick of `/proc/PID/stat`: USER_HZ is 100 wherever leakwatch runs.
const TICK_NS: u64 = 10_000_000;

/// Fields of `/proc/PID/stat` from the third on; the second, the name, may contain anything.
pub(crate) fn stat(path: &str) -> Option<Vec<String>> {
    let stat = fs::read(path).ok()?;
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(&stat[end + 1..]).ok()?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

/// The field that proc(5) gives this number, of what [`stat`] found.
pub(crate) fn field(stat: &[String], number: usize) -> Option<u64> {
    stat.get(number - 3)?.parse().ok()
}

/// Whether it is alive.
pub(crate) fn is_alive(process: ProcessId) -> bool {
    let stat = stat(&format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    field(&stat, 22) == Some(process.start_time_ns / TICK_NS)
}

/// The process that has this pid now, with its start to 10 ms; `None` when there is none.
pub(crate) fn of(pid: u32) -> Option<ProcessId> {
    let stat = stat(&format!("/proc/{pid}/stat"))?;
    Some(ProcessId {
        pid,
        start_time_ns: field(&stat, 22)? * TICK_NS,
    })
}

/// The pid by which a process knows itself, in the innermost of its PID namespaces, from its `/proc/PID/status`: the last
/// number of `NSpid` (proc_pid_status(5)).
pub(crate) fn innermost_pid(status: &str) -> Option<u32> {
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    pids.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
pub(crate) fn own() -> ProcessId {
    of(std::process::id()).expect("alive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_pid_is_its_own() {
        assert_eq!(
            innermost_pid("Name:\tx\nNSpid:\t4711\t12\t1\nTgid:\t4711\n"),
            Some(1)
        );
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }

    #[test]
    fn another_process_under_the_same_pid() {
        assert!(is_alive(own()));
        let before = ProcessId {
            start_time_ns: own().start_time_ns - TICK_NS,
            ..own()
        };
        assert!(!is_alive(before));
        let none = ProcessId {
            pid: u32::MAX,
            ..own()
        };
        assert!(!is_alive(none));
    }
}
