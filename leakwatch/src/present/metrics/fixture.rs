//! Snapshots for the tests of this directory.

use crate::model::{
    health::Health,
    identity::ProcessId,
    snapshot::{Growth, ProcessRow, SCHEMA_VERSION, Snapshot, State, Unattributed},
};

/// A healthy host that booted at 1,000 s after the epoch.
pub(super) fn snapshot(uptime_ns: u64, processes: Vec<ProcessRow>) -> Snapshot {
    Snapshot {
        schema_version: SCHEMA_VERSION,
        tool_version: "1.2.3".to_owned(),
        host: "node-1".to_owned(),
        time_unix_ms: 1_000_000 + uptime_ns / 1_000_000,
        uptime_ns,
        health: Health::default(),
        processes,
        findings: Vec::new(),
        host_limits: Vec::new(),
    }
}

/// A process that holds nothing.
pub(super) fn row(pid: u32, name: &str) -> ProcessRow {
    ProcessRow {
        id: ProcessId {
            pid,
            start_time_ns: 0,
        },
        parent_pid: 1,
        name: name.to_owned(),
        user: "root".into(),
        exe: None,
        cmdline: None,
        runtime: None,
        runtime_version: None,
        allocator: None,
        container_id: None,
        unit: None,
        threads: 0,
        fds: 0,
        fd_limit: None,
        fd_kinds: None,
        rss_anon_bytes: 0,
        rss_file_bytes: 0,
        rss_shmem_bytes: 0,
        swap_bytes: 0,
        mapped_anon_bytes: None,
        maps: 0,
        growth: Growth::default(),
        unattributed: Unattributed::default(),
        state: State::Observing,
        sites: Vec::new(),
        limits: Vec::new(),
        census: None,
    }
}
