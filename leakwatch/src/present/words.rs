//! The numbers of a finding in words, the same on the screen and in every report.

use std::time::Duration;

use super::units;
use crate::model::finding::{Estimate, Limit, Resource};

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

#[cfg(test)]
mod tests {
    use super::{rate, seconds};
    use crate::model::finding::{Estimate, Resource};

    #[test]
    fn numbers_beyond_reason_are_still_words() {
        assert_eq!(seconds(f64::INFINITY), "centuries");
        assert_eq!(seconds(f64::NAN), "0ns");
        assert_eq!(seconds(-3.0), "0ns");
        let wide = Estimate {
            value: 0.05,
            low: 0.0,
            high: f64::INFINITY,
        };
        assert!(rate(Resource::Thread, &wide).starts_with("+3.0/m ("));
    }
}
