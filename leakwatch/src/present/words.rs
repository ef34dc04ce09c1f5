//! A finding in words, the same on the screen and in every report.

use std::time::Duration;

use super::units;
use crate::model::finding::{Estimate, Finding, Limit, Resource, Span, Subject, Verdict};

/// Who, what and what next, in one sentence without a full stop.
pub fn sentence(finding: &Finding) -> String {
    let what = what(finding);
    let held = amount(finding.resource, finding.in_use);
    let claim = match finding.verdict {
        Verdict::Leaking => format!("leaks {what}: {held} held"),
        Verdict::Suspected => format!("probably leaks {what}: {held} held"),
        Verdict::Growing => format!("grows in {what}: {held} held"),
        Verdict::Recovered => format!("no longer leaks {what}: {held} held"),
        Verdict::Ended => format!("has ended and held {held} of {what}"),
        Verdict::Healthy => format!("holds steady in {what}: {held} held"),
    };
    let rate = finding
        .rate_per_second
        .filter(|_| accuses_now(finding.verdict))
        .map(|rate| format!(", {}", rate_of(finding.resource, rate.value)));
    let end = match (&finding.limit, &finding.seconds_to_limit) {
        (Some(limit), Some(span)) => format!("; {} is reached {}", limit.name, time(span)),
        (Some(limit), None) if finding.exhausting => format!("; {} is nearly reached", limit.name),
        _ => String::new(),
    };
    format!("{}{claim}{}{end}", subject(finding), rate.unwrap_or_default())
}

/// A group is named; of a process its line says who it is.
fn subject(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Process => String::new(),
        Subject::Container(id) => format!("container {id} "),
        Subject::Unit(name) => format!("unit {name} "),
    }
}

fn accuses_now(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Leaking | Verdict::Suspected | Verdict::Growing)
}

/// What is held, with its kind: `file descriptors (socket)`.
pub fn what(finding: &Finding) -> String {
    let resource = resource(finding.resource);
    if finding.kind == finding.resource.name() {
        resource.to_owned()
    } else {
        format!("{resource} ({})", finding.kind)
    }
}

/// A resource as people call it.
pub fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Memory => "memory",
        Resource::Fd => "file descriptors",
        Resource::Thread => "threads",
        Resource::Maps => "mappings",
    }
}

/// So many bytes or things.
pub fn amount(resource: Resource, amount: u64) -> String {
    match resource {
        Resource::Memory => units::bytes(amount),
        Resource::Fd | Resource::Thread | Resource::Maps => units::count(amount),
    }
}

/// Growth, a minute.
pub fn rate_of(resource: Resource, per_second: f64) -> String {
    match resource {
        Resource::Memory => units::bytes_per_minute(per_second),
        Resource::Fd | Resource::Thread | Resource::Maps => units::count_per_minute(per_second),
    }
}

/// Growth with its interval: `+186.0/m (+168.0/m to +204.0/m)`.
pub fn rate(resource: Resource, rate: &Estimate) -> String {
    let [value, low, high] = [rate.value, rate.low, rate.high].map(|rate| rate_of(resource, rate));
    format!("{value} ({low} to {high})")
}

/// When: `in 18m03s to 21m55s`.
pub fn time(span: &Span) -> String {
    match span.high {
        Some(high) => format!("in {} to {}", seconds(span.low), seconds(high)),
        None => format!("in {} at the earliest", seconds(span.low)),
    }
}

/// A length of time in its two largest units. What is beyond any number is said so.
pub fn seconds(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    let nanoseconds = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
    nanoseconds.map_or_else(|| "centuries".to_owned(), units::duration)
}

/// A limit and how much of it is used: `RLIMIT_NOFILE 412 of 4096 (10 %)`.
pub fn limit(resource: Resource, limit: &Limit) -> String {
    format!(
        "{} {} of {} ({:.0} %)",
        limit.name,
        amount(resource, limit.in_use),
        amount(resource, limit.value),
        share(limit) * 100.0
    )
}

/// How much of a limit is used; above 1 when it was lowered below that. A limit of 0 forbids the next as one of 1
/// forbids the second.
pub fn share(limit: &Limit) -> f64 {
    limit.in_use as f64 / limit.value.max(1) as f64
}

/// A probability in percent, never rounded up to certainty.
pub fn percent(probability: f64) -> String {
    format!("{:.0} %", (probability * 100.0).clamp(0.0, 99.0))
}

#[cfg(test)]
mod tests {
    use super::{percent, rate, seconds, sentence};
    use crate::model::finding::{Estimate, Resource};
    use crate::present::sample;

    #[test]
    fn a_sentence_says_what_how_fast_and_until_when() {
        let sentences: Vec<_> = sample::findings().iter().map(sentence).collect();
        assert_eq!(
            sentences,
            [
                "leaks file descriptors (socket): 412 held, +186.0/m; RLIMIT_NOFILE is reached in 18m03s to 21m55s",
                "probably leaks memory (heap): 424 MiB held, +1.20 MiB/m; memory.max of /kubepods/burstable/payments \
                 is reached in 1h15m at the earliest",
                "grows in threads: 24 held, +3.0/m",
                "no longer leaks memory (heap): 3.00 MiB held",
                "has ended and held 902 of file descriptors (socket)",
            ]
        );
    }

    #[test]
    fn numbers_beyond_reason_are_still_words() {
        assert_eq!(seconds(f64::INFINITY), "centuries");
        assert_eq!(seconds(f64::NAN), "0ns");
        assert_eq!(seconds(-3.0), "0ns");
        assert_eq!(
            (percent(1.0), percent(0.0)),
            ("99 %".to_owned(), "0 %".to_owned())
        );
        let wide = Estimate {
            value: 0.05,
            low: 0.0,
            high: f64::INFINITY,
        };
        assert!(rate(Resource::Thread, &wide).starts_with("+3.0/m ("));
    }
}
