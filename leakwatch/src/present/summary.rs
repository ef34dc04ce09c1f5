//! What a person has to know before believing the rest.

use std::time::{Duration, UNIX_EPOCH};

use super::units;
use crate::model::health::{Health, ProbeState};

/// A time as RFC 3339 in UTC, to the second; `-` for one beyond the calendar.
pub fn time(unix_ms: u64) -> String {
    // humantime formats years up to 9999.
    const END_OF_CALENDAR_MS: u64 = 253_402_300_800_000;
    if unix_ms >= END_OF_CALENDAR_MS {
        return "-".to_owned();
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

/// Why [`Health::degraded`] holds, one sentence per reason; empty when it does not.
pub fn problems(health: &Health) -> Vec<String> {
    let mut problems = Vec::new();
    for probe in &health.probes {
        if probe.state == ProbeState::Failed {
            let reason = probe.reason.as_deref().unwrap_or("reason unknown");
            problems.push(format!("probe {} is not attached: {reason}", probe.name));
        }
    }
    for map in &health.maps {
        if map.full > 0 {
            let refused = units::count(map.full);
            problems.push(format!("map {} is full: {refused} entries refused", map.name));
        }
    }
    if health.feed.dropped > 0 {
        let dropped = units::count(health.feed.dropped);
        problems.push(format!(
            "{dropped} records lost: sites are incomplete, counts are not"
        ));
    }
    if health.levels.fds_truncated > 0 {
        let truncated = health.levels.fds_truncated;
        problems.push(format!(
            "FDS of {truncated} processes is a lower bound: their descriptor tables are too large"
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{problems, time};
    use crate::model::health::{Health, ProbeState};
    use crate::present::sample;

    #[test]
    fn there_is_a_reason_exactly_when_degraded() {
        let degrade: [fn(&mut Health); 4] = [
            |health| health.probes[0].state = ProbeState::Failed,
            |health| health.maps[0].full = 1,
            |health| health.feed.dropped = 1,
            |health| health.levels.fds_truncated = 1,
        ];
        let healthy = sample::snapshot().health;
        assert!(!healthy.degraded());
        assert_eq!(problems(&healthy), [""; 0]);
        for degrade in degrade {
            let mut health = healthy.clone();
            degrade(&mut health);
            assert!(health.degraded());
            assert_eq!(problems(&health).len(), 1);
        }
    }

    #[test]
    fn times_are_utc_and_never_out_of_range() {
        assert_eq!(time(1_763_661_876_999), "2025-11-20T18:04:36Z");
        assert_eq!(time(u64::MAX), "-");
    }
}
