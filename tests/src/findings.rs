//! Findings for the tests of programs that judge them.

use leakwatch::model::{
    finding::{Finding, FindingSite, Resource, Subject, Verdict},
    snapshot::FrameRow,
};

/// One of process 1, without sites, holders and evidence.
pub fn finding(resource: Resource, verdict: Verdict, confidence: f64) -> Finding {
    Finding {
        subject: Subject::Process,
        pid: 1,
        start_time_ns: 1,
        process: "program".to_owned(),
        exe: None,
        cmdline: None,
        runtime: None,
        runtime_version: None,
        allocator: None,
        container: None,
        resource,
        kind: resource.name().to_owned(),
        verdict,
        class: None,
        confidence,
        rate_per_second: None,
        in_use: 0,
        limit: None,
        seconds_to_limit: None,
        exhausting: false,
        since_unix_ms: None,
        evidence: Vec::new(),
        sites: Vec::new(),
        holders: Vec::new(),
    }
}

/// Frames of these functions, innermost first.
pub fn frames(functions: &[&str]) -> Vec<FrameRow> {
    let frame = |function: &&str| FrameRow::named((*function).to_owned());
    functions.iter().map(frame).collect()
}

/// The site of everything that leaks, with its function and its stack.
pub fn site(function: &str, stack: &[&str]) -> FindingSite {
    FindingSite {
        kind: "file".to_owned(),
        function: Some(function.to_owned()),
        live: None,
        bytes: None,
        share: 1.0,
        oldest_seconds: None,
        frames: frames(stack),
    }
}
