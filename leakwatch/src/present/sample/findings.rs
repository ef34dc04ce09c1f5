//! Findings about the processes of the sample host.

use super::{MIB, frame, process, quiet};
use crate::model::{
    census::Counted,
    finding::{
        Class, Estimate, Evidence, Finding, FindingSite, Holder, Limit, Resource, Span, Subject, Verdict,
    },
    snapshot::{FrameRow, LimitUse, ProcessRow},
};

/// Worst first, as the detector orders them.
pub(crate) fn findings() -> Vec<Finding> {
    let payments = process(4711, "payments");
    vec![
        sockets(&payments),
        heap(&payments),
        Finding {
            resource: Resource::Thread,
            kind: "thread".to_owned(),
            verdict: Verdict::Growing,
            class: Some(Class::FollowsLoad),
            confidence: 0.31,
            in_use: 24,
            rate_per_second: Some(estimate(0.05, 0.03, 0.06)),
            evidence: vec![evidence(
                "load",
                -1.4,
                "threads grow with the work done: correlation 0.91",
            )],
            ..about(&payments)
        },
        Finding {
            resource: Resource::Memory,
            kind: "heap".to_owned(),
            verdict: Verdict::Recovered,
            confidence: 0.12,
            in_use: 3 * MIB,
            since_unix_ms: Some(1_763_658_000_000),
            evidence: vec![evidence("release", -2.5, "gave back 91 % of what it had gained")],
            ..about(&quiet(812, 1, "postgres"))
        },
        Finding {
            verdict: Verdict::Ended,
            confidence: 0.93,
            since_unix_ms: Some(1_763_657_000_000),
            in_use: 902,
            ..about(&quiet(3100, 1, "batch"))
        },
    ]
}

/// Sockets that nobody closes.
fn sockets(payments: &ProcessRow) -> Finding {
    Finding {
        verdict: Verdict::Leaking,
        confidence: 0.973,
        rate_per_second: Some(estimate(3.1, 2.8, 3.4)),
        limit: Some(nofile()),
        seconds_to_limit: Some(Span {
            low: 1083.5,
            high: Some(1315.7),
        }),
        since_unix_ms: Some(1_763_661_500_000),
        evidence: vec![
            evidence(
                "survival",
                4.9,
                "288 of 440 sockets of HttpPool::connect outlive their predecessors; none older than 30s was closed",
            ),
            evidence("floor", 1.2, "7 of the last 8 minima are new highs"),
            evidence("prior", -2.5, "few processes leak"),
        ],
        holders: Vec::new(),
        sites: vec![
            FindingSite {
                live: Some(288),
                share: 0.72,
                oldest_seconds: Some(590.0),
                ..site("socket", "HttpPool::connect", ("src/pool.cc", 88))
            },
            FindingSite {
                live: Some(100),
                share: 0.25,
                ..site("file", "Log::reopen", ("src/log.cc", 7))
            },
        ],
        ..about(payments)
    }
}

/// Memory that only grows.
fn heap(payments: &ProcessRow) -> Finding {
    Finding {
        resource: Resource::Memory,
        kind: "heap".to_owned(),
        verdict: Verdict::Suspected,
        class: Some(Class::FollowsLoad),
        confidence: 0.71,
        rate_per_second: Some(estimate(20_971.52, 18_000.0, 24_500.0)),
        in_use: 424 * MIB,
        limit: Some(memory_max()),
        seconds_to_limit: Some(Span {
            low: 4_508.0,
            high: None,
        }),
        since_unix_ms: Some(1_763_661_700_000),
        evidence: vec![
            evidence(
                "staleness",
                1.6,
                "61 % of what grew was not touched for 5 minutes",
            ),
            evidence("load", -0.7, "it follows the work done in part: correlation 0.44"),
        ],
        holders: vec![
            holder("com.shop.Cache$Entry", 12_400, 0.91),
            holder("byte[]", 88_000, 0.06),
        ],
        sites: vec![FindingSite {
            bytes: Some(360 * MIB),
            share: 0.94,
            ..site("first_touch", "Cache::insert", ("src/cache.cc", 204))
        }],
        ..about(payments)
    }
}

/// Objects of a class that are more and more.
fn holder(name: &str, count: u64, share: f64) -> Holder {
    Holder {
        counted: Counted::Class,
        runtime: "java".to_owned(),
        name: name.to_owned(),
        count,
        bytes: Some(count * 96),
        rate_per_second: 9.8,
        bytes_per_second: Some(940.8),
        share,
        oldest_seconds: None,
        frames: Vec::new(),
    }
}

/// Limits of the sample host.
pub(crate) fn host_limits() -> Vec<LimitUse> {
    vec![LimitUse {
        resource: Resource::Fd,
        limit: Limit {
            name: "fs.file-max".into(),
            value: 9_223_372,
            in_use: 11_008,
        },
    }]
}

/// Limits of the process that leaks.
pub(crate) fn limits() -> Vec<LimitUse> {
    vec![
        LimitUse {
            resource: Resource::Fd,
            limit: nofile(),
        },
        LimitUse {
            resource: Resource::Memory,
            limit: memory_max(),
        },
    ]
}

fn nofile() -> Limit {
    Limit {
        name: "RLIMIT_NOFILE".into(),
        value: 4096,
        in_use: 412,
    }
}

fn memory_max() -> Limit {
    Limit {
        name: "memory.max of /kubepods/burstable/payments".into(),
        value: 512 * MIB,
        in_use: 447 * MIB,
    }
}

/// A finding of which nothing is known yet but who and what.
pub(crate) fn about(process: &ProcessRow) -> Finding {
    Finding {
        subject: Subject::Process,
        pid: process.id.pid,
        start_time_ns: process.id.start_time_ns,
        process: process.name.clone(),
        exe: process.exe.clone(),
        cmdline: process.cmdline.clone(),
        runtime: process.runtime.clone(),
        runtime_version: process.runtime_version.clone(),
        allocator: process.allocator.clone(),
        container: process.container_id.clone(),
        resource: Resource::Fd,
        kind: "socket".to_owned(),
        verdict: Verdict::Growing,
        class: None,
        confidence: 0.5,
        rate_per_second: None,
        in_use: process.fds.into(),
        limit: None,
        seconds_to_limit: None,
        exhausting: false,
        since_unix_ms: None,
        evidence: Vec::new(),
        sites: Vec::new(),
        holders: Vec::new(),
    }
}

/// Gives everything that has a name this one.
pub(super) fn name(finding: &mut Finding, name: &str) {
    finding.subject = Subject::Unit(name.into());
    name.clone_into(&mut finding.process);
    name.clone_into(&mut finding.kind);
    for text in [
        &mut finding.exe,
        &mut finding.cmdline,
        &mut finding.runtime,
        &mut finding.runtime_version,
        &mut finding.allocator,
        &mut finding.container,
    ] {
        *text = Some(name.into());
    }
    if let Some(limit) = &mut finding.limit {
        limit.name = name.into();
    }
    for evidence in &mut finding.evidence {
        name.clone_into(&mut evidence.name);
        name.clone_into(&mut evidence.text);
    }
    for holder in &mut finding.holders {
        name.clone_into(&mut holder.name);
        name.clone_into(&mut holder.runtime);
    }
    for site in &mut finding.sites {
        name.clone_into(&mut site.kind);
        site.function = Some(name.to_owned());
        for frame in &mut site.frames {
            frame.function = Some(name.to_owned());
            frame.file = Some(name.to_owned());
            name.clone_into(&mut frame.module);
        }
    }
}

fn estimate(value: f64, low: f64, high: f64) -> Estimate {
    Estimate { value, low, high }
}

fn evidence(name: &str, log_odds: f64, text: &str) -> Evidence {
    Evidence {
        name: name.to_owned(),
        log_odds,
        text: text.to_owned(),
    }
}

fn site(kind: &str, function: &str, line: (&str, u32)) -> FindingSite {
    FindingSite {
        kind: kind.to_owned(),
        function: Some(function.to_owned()),
        live: None,
        bytes: None,
        share: 0.0,
        oldest_seconds: None,
        frames: vec![
            frame(function, super::PAYMENTS, Some(line)),
            FrameRow {
                function: None,
                reason: Some("no symbols".to_owned()),
                ..frame("", "/usr/lib/libvendor.so", None)
            },
        ],
    }
}
