//! Snapshots for the presenters' tests: every field is filled, nothing depends on the machine.

mod census;
mod findings;
mod recording;

pub(crate) use census::census;
pub(crate) use findings::findings;
pub(crate) use recording::recording;

use crate::model::{
    health::{
        AgentHealth, CallSitesHealth, FeedHealth, Health, LevelsHealth, LifecycleHealth, MapHealth,
        ProbeHealth, ProbeState,
    },
    identity::ProcessId,
    snapshot::{FrameRow, Growth, ProcessRow, SCHEMA_VERSION, SiteRow, Snapshot, State, Unattributed},
};

const MIB: u64 = 1 << 20;

/// A process that grows in every way.
pub(crate) fn process(pid: u32, name: &str) -> ProcessRow {
    ProcessRow {
        id: ProcessId {
            pid,
            start_time_ns: u64::from(pid) * 1_000_000_000,
        },
        parent_pid: 1,
        name: name.to_owned(),
        user: "shop".into(),
        exe: Some("/usr/lib/jvm/bin/java".into()),
        cmdline: Some("java -Xmx2g -jar spring.jar".into()),
        runtime: Some("java".into()),
        runtime_version: Some("17.0.15+6".into()),
        allocator: Some("glibc".into()),
        container_id: Some(("8f3a0c".repeat(10) + "0123").into()),
        unit: None,
        threads: 24,
        fds: 412,
        fd_limit: Some(4096),
        fd_kinds: Some(
            [("socket", 300), ("file", 100), ("pipe", 12), ("epoll", 0)]
                .map(|(k, n)| (k.to_owned(), n))
                .into(),
        ),
        rss_anon_bytes: 412 * MIB,
        rss_file_bytes: 31 * MIB,
        rss_shmem_bytes: 4 * MIB,
        swap_bytes: 12 * MIB,
        mapped_anon_bytes: Some(2048 * MIB),
        maps: 311,
        growth: Growth {
            memory_bytes_per_second: Some(20_971.52),
            fds_per_second: Some(3.1),
            threads_per_second: Some(0.05),
        },
        unattributed: Unattributed { fds: 9, threads: 2 },
        state: State::Growing,
        sites: sites(),
        limits: findings::limits(),
        census: Some(census(pid).into()),
    }
}

/// Descriptors, a thread and memory taken at known places, and one mapping taken nowhere in particular.
fn sites() -> Vec<SiteRow> {
    let pool = frame("HttpPool::connect", PAYMENTS, Some(("src/pool.cc", 88)));
    let retry = frame("Retry::run", PAYMENTS, Some(("src/retry.cc", 12)));
    let vendor = FrameRow {
        function: None,
        reason: Some("no symbols".to_owned()),
        ..frame("", "/usr/lib/libvendor.so", None)
    };
    let rotate = frame("Log::rotate", PAYMENTS, Some(("src/log.cc", 31)));
    let inlined = FrameRow {
        inlined: true,
        address: rotate.address,
        ..frame("Log::reopen", PAYMENTS, Some(("src/log.cc", 7)))
    };
    vec![
        SiteRow {
            frames: vec![
                frame("__socket", LIBC, None),
                pool.clone(),
                retry.clone(),
                vendor.clone(),
            ],
            samples: 220,
            oldest_ns: Some(590_000_000_000),
            examples: vec!["tcp 10.0.0.7:443".to_owned()],
            born: 440,
            live: Some(288),
            mean_lifetime_ns: Some(1_500_000_000),
            p95_lifetime_ns: Some(4_194_304_000),
            ..site("socket", Some("HttpPool::connect"))
        },
        SiteRow {
            frames: vec![frame("__socket", LIBC, None), pool, vendor.clone()],
            samples: 12,
            oldest_ns: Some(30_000_000_000),
            examples: vec!["tcp 10.0.0.8:443".to_owned()],
            cut: Some("the copy of the stack ended".to_owned()),
            born: 15,
            live: Some(12),
            ..site("socket", Some("HttpPool::connect"))
        },
        SiteRow {
            frames: vec![frame("__open64", LIBC, None), inlined, rotate, retry, vendor],
            samples: 30,
            examples: vec!["/var/log/payments.log".to_owned()],
            born: 3000,
            live: Some(100),
            ..site("file", Some("Log::reopen"))
        },
        SiteRow {
            frames: vec![
                frame("pthread_create", LIBC, None),
                frame("Pool::grow", PAYMENTS, None),
            ],
            born: 30,
            live: Some(21),
            ..site("thread", Some("Pool::grow"))
        },
        SiteRow {
            frames: vec![frame("Cache::insert", PAYMENTS, Some(("src/cache.cc", 204)))],
            samples: 96,
            born: 96,
            bytes: 384 * MIB,
            live_bytes: Some(360 * MIB),
            ..site("first_touch", Some("Cache::insert"))
        },
        SiteRow {
            born: 3,
            live: Some(3),
            ..site("pipe", None)
        },
        SiteRow {
            born: 7,
            bytes: 64 * MIB,
            ..site("mapping", None)
        },
    ]
}

const LIBC: &str = "/usr/lib/libc.so.6";
const PAYMENTS: &str = "/usr/bin/payments";

fn site(kind: &str, function: Option<&str>) -> SiteRow {
    SiteRow {
        kind: kind.to_owned(),
        function: function.map(str::to_owned),
        frames: Vec::new(),
        cut: None,
        samples: 0,
        born: 0,
        live: None,
        bytes: 0,
        live_bytes: None,
        oldest_ns: None,
        mean_lifetime_ns: None,
        p95_lifetime_ns: None,
        examples: Vec::new(),
    }
}

fn frame(function: &str, module: &str, line: Option<(&str, u32)>) -> FrameRow {
    FrameRow {
        function: Some(function.to_owned()),
        file: line.map(|(file, _)| file.to_owned()),
        line: line.map(|(_, line)| line),
        module: module.to_owned(),
        build_id: Some("5a1c0f".to_owned()),
        address: 0x1_2345 + line.map_or(0, |(_, line)| u64::from(line) * 16),
        inlined: false,
        reason: None,
    }
}

/// A process of which little is known and that holds what it held.
pub(crate) fn quiet(pid: u32, parent_pid: u32, name: &str) -> ProcessRow {
    ProcessRow {
        parent_pid,
        user: "root".into(),
        exe: None,
        cmdline: None,
        runtime: None,
        runtime_version: None,
        allocator: None,
        container_id: None,
        unit: Some("shop.service".into()),
        threads: 1,
        fds: 8,
        fd_limit: None,
        fd_kinds: None,
        rss_anon_bytes: u64::from(pid) * 4096,
        mapped_anon_bytes: None,
        growth: Growth {
            memory_bytes_per_second: Some(0.0),
            fds_per_second: Some(0.0),
            threads_per_second: Some(0.0),
        },
        unattributed: Unattributed { fds: 3, threads: 0 },
        state: State::Healthy,
        sites: Vec::new(),
        limits: Vec::new(),
        census: None,
        ..process(pid, name)
    }
}

/// A process that just started.
pub(crate) fn newborn(pid: u32, parent_pid: u32, name: &str) -> ProcessRow {
    ProcessRow {
        growth: Growth::default(),
        state: State::Observing,
        ..quiet(pid, parent_pid, name)
    }
}

/// A host on which one process leaks and leakwatch sees everything.
pub(crate) fn snapshot() -> Snapshot {
    let mut postgres = quiet(812, 1, "postgres");
    postgres.user = "postgres".into();
    postgres.cmdline = Some("/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main".into());
    postgres.growth.memory_bytes_per_second = Some(-512.0);
    postgres.state = State::Recovered;
    let mut payments = process(4711, "payments");
    payments.state = State::Leaking;
    let mut zombie = newborn(4900, 4711, "defunct");
    zombie.state = State::Zombie;
    zombie.fds = 0;
    Snapshot {
        schema_version: SCHEMA_VERSION,
        tool_version: "0.1.0".to_owned(),
        host: "db-1".to_owned(),
        time_unix_ms: 1_763_661_876_000,
        uptime_ns: 10_000_000_000_000,
        health: healthy(),
        processes: vec![
            quiet(1, 0, "systemd"),
            postgres,
            quiet(813, 812, "postgres: walwr"),
            payments,
            newborn(4800, 4711, "sh"),
            zombie,
        ],
        findings: findings(),
        host_limits: findings::host_limits(),
    }
}

/// The same host, with an agent that misses something.
pub(crate) fn degraded() -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.health.feed.dropped = 1204;
    snapshot.health.feed.shed = 88_000;
    snapshot.health.levels.fds_truncated = 1;
    snapshot.health.maps[1].full = 17;
    snapshot.health.probes[1].state = ProbeState::Failed;
    snapshot.health.probes[1].reason = Some("load: EPERM (CAP_PERFMON is missing)".to_owned());
    snapshot
}

/// Names as an attacker would choose them.
pub(crate) fn hostile() -> Snapshot {
    let mut snapshot = snapshot();
    let names = [
        "\x1b[2J\x1b]0;x\x07",
        "\u{202e}gpj.exe",
        "a\nb\tc",
        "日本語日本語日本語",
        "=1+1",
    ];
    for (process, name) in snapshot.processes.iter_mut().zip(names) {
        name.clone_into(&mut process.name);
        process.user = format!("{name}{name}").into();
        process.cmdline = Some(format!("{name} --{name}").into());
        process.container_id = Some(name.into());
        process.runtime = Some(name.into());
        process.runtime_version = Some(name.into());
        process.allocator = Some(name.into());
        process.exe = Some(name.into());
    }
    name_everything_else(&mut snapshot, names[0]);
    snapshot
}

fn name_everything_else(snapshot: &mut Snapshot, name: &str) {
    name.clone_into(&mut snapshot.host);
    name.clone_into(&mut snapshot.tool_version);
    for site in snapshot
        .processes
        .iter_mut()
        .flat_map(|process| &mut process.sites)
    {
        name.clone_into(&mut site.kind);
        site.function = Some(name.to_owned());
        site.examples = vec![name.to_owned()];
        for frame in &mut site.frames {
            frame.function = Some(name.to_owned());
            frame.file = Some(name.to_owned());
            name.clone_into(&mut frame.module);
        }
    }
    for process in &mut snapshot.processes {
        if let Some(census) = &mut process.census {
            census::name(std::sync::Arc::make_mut(census), name);
        }
        process.fd_kinds = Some([(name.to_owned(), 3)].into());
        for limit in &mut process.limits {
            limit.limit.name = name.into();
        }
    }
    for finding in &mut snapshot.findings {
        findings::name(finding, name);
    }
    for probe in &mut snapshot.health.probes {
        probe.reason = Some(name.to_owned());
        name.clone_into(&mut probe.name);
    }
}

fn healthy() -> Health {
    let probe = |name: &str, hook: &str, state, reason: Option<&str>, runs, run_time_ns| ProbeHealth {
        name: name.to_owned(),
        hook: hook.to_owned(),
        state,
        reason: reason.map(str::to_owned),
        runs,
        run_time_ns,
    };
    let map = |name: &str, max_entries, entries, bytes| MapHealth {
        name: name.to_owned(),
        max_entries,
        entries,
        full: 0,
        bytes,
    };
    Health {
        probes: vec![
            probe(
                "syscall_exit",
                "raw_tp/sys_exit",
                ProbeState::Attached,
                None,
                1_000_000,
                81_000_000,
            ),
            probe(
                "process_exec",
                "tp_btf/sched_process_exec",
                ProbeState::Attached,
                None,
                12,
                9_000,
            ),
            probe(
                "first_touch",
                "perf/page-faults",
                ProbeState::Fallback,
                Some("no hardware event"),
                0,
                0,
            ),
        ],
        call_sites: CallSitesHealth {
            complete: 850,
            cut: 20,
            lost: 28,
            gone: 2,
            stacks: 310,
            unwind_bytes: 9 * MIB,
            symbols: 1_204,
            symbol_bytes: 3 * MIB,
        },
        lifecycle: LifecycleHealth {
            forked: 41,
            execed: 30,
            exited: 37,
        },
        feed: FeedHealth {
            records: 120_345,
            dropped: 0,
            deaths_dropped: 0,
            shed: 42,
            undecodable: 0,
            stacks_taken: 900,
            stacks_shed: 10,
            stacks_dropped: 2,
            stacks_failed: 1,
            compat_skipped: 2,
            read_faults: 3,
            late_closes: 5,
            unknown_closes: 8,
            high_fds: 0,
        },
        maps: vec![
            map("events", 8 * MIB, None, 8 * MIB),
            map("live_fds", 262_144, Some(1311), 20 * MIB),
        ],
        agent: AgentHealth {
            cpu_seconds: 3.25,
            rss_bytes: 18 * MIB,
            kernel_map_bytes: 28 * MIB,
            tick_seconds: 0.0042,
            ticks: 600,
        },
        levels: LevelsHealth {
            rss_error_bound_bytes: 256 * 1024,
            fds_truncated: 0,
        },
    }
}
