//! Ten minutes of the sample host, read every ten seconds.

use super::{MIB, snapshot};
use crate::model::snapshot::{Snapshot, State};

const READINGS: u64 = 60;
const INTERVAL_MS: u64 = 10_000;
/// The reading from which on the detector is sure.
const FOUND: u64 = 40;

/// Oldest first; the last one is the sample snapshot.
pub(crate) fn recording() -> Vec<Snapshot> {
    (0..=READINGS)
        .map(|reading| at(reading, READINGS - reading))
        .collect()
}

fn at(reading: u64, before_end: u64) -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.time_unix_ms -= before_end * INTERVAL_MS;
    snapshot.uptime_ns -= before_end * INTERVAL_MS * 1_000_000;
    if reading < FOUND {
        snapshot.findings.clear();
    }
    let Some(payments) = snapshot
        .processes
        .iter_mut()
        .find(|process| process.name == "payments")
    else {
        return snapshot;
    };
    if reading < FOUND {
        payments.state = State::Growing;
    }
    // 6.2 descriptors a reading, and a saw-tooth of 8 on top that ends at its foot.
    let leaked = before_end * 372 / READINGS;
    payments.fds -= u32::try_from(leaked).unwrap_or(0);
    payments.fds += u32::try_from(before_end % 5 * 8).unwrap_or(0);
    payments.rss_anon_bytes -= before_end * 2 * MIB;
    payments.rss_anon_bytes += before_end % 4 * 9 * MIB;
    for site in &mut payments.sites {
        site.live = site.live.map(|live| live * reading / READINGS);
        site.live_bytes = site.live_bytes.map(|bytes| bytes * reading / READINGS);
    }
    snapshot
}
