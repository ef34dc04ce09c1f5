//! Findings for the tests of this program.

use leakwatch::model::finding::{Finding, Resource, Subject, Verdict};

pub(crate) fn finding(resource: Resource, verdict: Verdict, confidence: f64) -> Finding {
    Finding {
        subject: Subject::Process,
        pid: 1,
        start_time_ns: 1,
        process: "program".to_owned(),
        exe: None,
        cmdline: None,
        runtime: None,
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
