//! What each process held lately, for the sparklines.

use std::collections::{HashMap, VecDeque};

use crate::model::{identity::ProcessId, snapshot::Snapshot};

/// Readings kept per process.
pub const READINGS: usize = 120;

/// One reading of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When, milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Resident anonymous memory and swap together, bytes.
    pub memory: u64,
    /// Open descriptors.
    pub fds: u32,
    /// Live threads.
    pub threads: u32,
}

/// A ring of readings per process. A process that is gone is forgotten at once, so it is as large as the host.
#[derive(Debug, Default)]
pub struct History {
    rings: HashMap<ProcessId, VecDeque<Reading>>,
}

impl History {
    /// Adds the readings of one snapshot.
    pub fn record(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.rings);
        for process in &snapshot.processes {
            let mut ring = before.remove(&process.id).unwrap_or_default();
            if ring.len() == READINGS {
                ring.pop_front();
            }
            ring.push_back(Reading {
                time_unix_ms: snapshot.time_unix_ms,
                memory: process.rss_anon_bytes.saturating_add(process.swap_bytes),
                fds: process.fds,
                threads: process.threads,
            });
            self.rings.insert(process.id, ring);
        }
    }

    /// The readings of a process up to a time, oldest first.
    pub fn until(&self, id: ProcessId, time_unix_ms: u64) -> impl Iterator<Item = Reading> {
        let ring = self.rings.get(&id).into_iter().flatten();
        ring.copied()
            .filter(move |reading| reading.time_unix_ms <= time_unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{History, READINGS};
    use crate::present::sample;

    #[test]
    fn a_ring_is_bounded_and_goes_with_its_process() {
        let mut snapshot = sample::snapshot();
        let id = snapshot.processes[3].id;
        let mut history = History::default();
        for tick in 0..READINGS as u64 + 5 {
            snapshot.time_unix_ms = tick;
            snapshot.processes[3].fds = u32::try_from(tick).expect("small");
            history.record(&snapshot);
        }
        let fds: Vec<_> = history.until(id, u64::MAX).map(|reading| reading.fds).collect();
        assert_eq!((fds.len(), fds[0], fds[READINGS - 1]), (READINGS, 5, 124));
        assert_eq!(history.until(id, 10).count(), 6);

        snapshot.processes[3].id.start_time_ns += 1;
        history.record(&snapshot);
        assert_eq!(history.until(id, u64::MAX).count(), 0, "the pid was reused");
        assert_eq!(history.until(snapshot.processes[3].id, u64::MAX).count(), 1);
    }
}
