//! Findings for the formats' tests: every field is filled, nothing depends on the machine.

use super::{Document, NearLimit, Target};
use crate::model::{
    census::Counted,
    finding::{
        Class, Estimate, Evidence, FINDINGS_VERSION, Finding, FindingSite, Holder, Limit, Resource, Span,
        Subject, Verdict,
    },
    snapshot::FrameRow,
};

pub(crate) fn document() -> Document {
    Document {
        schema_version: FINDINGS_VERSION,
        tool_version: "0.1.0".to_owned(),
        host: "node-7".to_owned(),
        time_unix_ms: 1_763_661_876_999,
        observed_seconds: 60.0,
        complete: true,
        problems: Vec::new(),
        targets: vec![target(99, "worker"), target(4711, "payments")],
        findings: vec![leak(), growth()],
        limits: vec![near(), host()],
    }
}

/// Nothing was found, and not everything was seen.
pub(crate) fn incomplete() -> Document {
    Document {
        complete: false,
        problems: vec!["process 99 (worker) ended after 2.0s: too soon to say anything".to_owned()],
        targets: vec![
            Target {
                observed_seconds: 2.0,
                judged: false,
                ended: true,
                ..target(99, "worker")
            },
            target(4711, "payments"),
        ],
        findings: Vec::new(),
        limits: Vec::new(),
        ..document()
    }
}

/// Everything that a process may choose tries to get out of its place.
pub(super) fn hostile() -> Document {
    let attack = "\x1b]0;x\x07\r\n::error::x%0A]]><a b=\"c\">&'\u{202e},:=";
    let mut document = document();
    for target in &mut document.targets {
        attack.clone_into(&mut target.process);
        target.container = Some(attack.into());
    }
    for finding in &mut document.findings {
        attack.clone_into(&mut finding.process);
        finding.subject = Subject::Unit(attack.into());
        finding.exe = Some(attack.into());
        finding.cmdline = Some(attack.into());
        for evidence in &mut finding.evidence {
            attack.clone_into(&mut evidence.text);
        }
        for holder in &mut finding.holders {
            attack.clone_into(&mut holder.name);
            attack.clone_into(&mut holder.runtime);
        }
        for site in &mut finding.sites {
            site.function = Some(attack.to_owned());
            for frame in &mut site.frames {
                frame.function = Some(format!("::error::##[error]{attack}"));
                frame.file = Some(attack.to_owned());
                attack.clone_into(&mut frame.module);
            }
        }
    }
    for near in &mut document.limits {
        near.process = Some(attack.to_owned());
        near.limit.name = attack.into();
    }
    document.problems = vec![attack.to_owned()];
    document
}

fn target(pid: u32, process: &str) -> Target {
    Target {
        pid,
        start_time_ns: u64::from(pid) * 1_000_000_000,
        process: process.to_owned(),
        container: Some("8f3a0c8f3a0c8f3a0c".into()),
        observed_seconds: 60.0,
        judged: true,
        ended: false,
    }
}

/// Sockets, for certain.
pub(crate) fn leak() -> Finding {
    Finding {
        subject: Subject::Process,
        pid: 4711,
        start_time_ns: 4_711_000_000_000,
        process: "payments".to_owned(),
        exe: Some("/usr/bin/payments".into()),
        cmdline: Some("payments --port 80".into()),
        runtime: Some("java".into()),
        runtime_version: Some("17.0.15+6".into()),
        allocator: Some("glibc".into()),
        container: Some("8f3a0c8f3a0c8f3a0c".into()),
        resource: Resource::Fd,
        kind: "socket".to_owned(),
        verdict: Verdict::Leaking,
        class: None,
        confidence: 0.98,
        rate_per_second: Some(Estimate {
            value: 3.1,
            low: 2.9,
            high: 3.3,
        }),
        in_use: 412,
        limit: Some(Limit {
            name: "RLIMIT_NOFILE".into(),
            value: 4096,
            in_use: 412,
        }),
        seconds_to_limit: Some(Span {
            low: 840.0,
            high: Some(1320.0),
        }),
        exhausting: false,
        since_unix_ms: Some(1_763_661_846_000),
        evidence: vec![
            evidence("survival", 5.2, "412 of 440 opened there are still open"),
            evidence("turnover", 1.1, "what is closed is closed within 1.5s"),
            evidence("prior", -3.0, "one process in twenty leaks"),
        ],
        holders: Vec::new(),
        sites: vec![FindingSite {
            kind: "socket".to_owned(),
            function: Some("HttpPool::connect".to_owned()),
            live: Some(288),
            bytes: None,
            share: 0.7,
            oldest_seconds: Some(590.0),
            frames: vec![
                frame(Some("__socket"), "/usr/lib/libc.so.6", None),
                frame(
                    Some("HttpPool::connect"),
                    "/usr/bin/payments",
                    Some(("src/pool.cc", 88)),
                ),
                frame(None, "/usr/lib/libvendor.so", None),
                frame(
                    Some("Retry::run"),
                    "/usr/bin/payments",
                    Some(("src/retry.cc", 12)),
                ),
            ],
        }],
    }
}

/// Leases that a pool never takes back.
pub(crate) fn holder() -> Holder {
    Holder {
        counted: Counted::Class,
        runtime: "java".to_owned(),
        name: "HttpPool$Lease".to_owned(),
        count: 4_012,
        bytes: Some(1_604_800),
        rate_per_second: 9.8,
        bytes_per_second: Some(3_920.0),
        share: 0.91,
        oldest_seconds: None,
        frames: Vec::new(),
    }
}

/// Memory, of which nobody knows better.
pub(crate) fn growth() -> Finding {
    Finding {
        subject: Subject::Unit("shop.service".into()),
        pid: 99,
        start_time_ns: 99_000_000_000,
        process: "worker".to_owned(),
        exe: None,
        cmdline: None,
        runtime: None,
        runtime_version: None,
        allocator: None,
        container: None,
        resource: Resource::Memory,
        kind: "memory".to_owned(),
        verdict: Verdict::Growing,
        class: Some(Class::Saturating),
        confidence: 0.31,
        rate_per_second: Some(Estimate {
            value: 20_971.52,
            low: 0.0,
            high: 30_000.0,
        }),
        in_use: 412 << 20,
        limit: None,
        seconds_to_limit: None,
        exhausting: false,
        since_unix_ms: None,
        evidence: vec![evidence("deceleration", -0.4, "it grows half as fast as it did")],
        sites: Vec::new(),
        holders: Vec::new(),
    }
}

fn near() -> NearLimit {
    NearLimit {
        pid: Some(4711),
        process: Some("payments".to_owned()),
        container: None,
        processes: 3,
        resource: Resource::Memory,
        limit: Limit {
            name: "memory.max of /system.slice/shop.service".into(),
            value: 512 << 20,
            in_use: 490 << 20,
        },
        seconds_to_limit: Some(Span {
            low: 600.0,
            high: None,
        }),
    }
}

fn host() -> NearLimit {
    NearLimit {
        pid: None,
        process: None,
        container: None,
        processes: 0,
        resource: Resource::Thread,
        limit: Limit {
            name: "kernel.pid_max".into(),
            value: 32_768,
            in_use: 17_000,
        },
        seconds_to_limit: None,
    }
}

fn evidence(name: &str, log_odds: f64, text: &str) -> Evidence {
    Evidence {
        name: name.to_owned(),
        log_odds,
        text: text.to_owned(),
    }
}

fn frame(function: Option<&str>, module: &str, line: Option<(&str, u32)>) -> FrameRow {
    FrameRow {
        function: function.map(str::to_owned),
        file: line.map(|(file, _)| file.to_owned()),
        line: line.map(|(_, line)| line),
        module: module.to_owned(),
        build_id: Some("5a1c0f".to_owned()),
        address: 0x1_2345,
        inlined: false,
        reason: None,
    }
}
