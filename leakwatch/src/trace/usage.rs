//! Processor time of the process that is traced.

use std::{fs, time::Instant};

/// System time at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemTime {
    at: Instant,
    seconds: f64,
}

impl SystemTime {
    /// Now; `None` when the process is gone.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let at = Instant::now();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // proc_pid_stat(5): the name, field 2, may hold anything; stime is field 15.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: f64 = fields.split_ascii_whitespace().nth(12)?.parse().ok()?;
        Some(Self {
            at,
            seconds: ticks / rustix::param::clock_ticks_per_second() as f64,
        })
    }

    /// Percent of one processor since then; `None` for no time.
    pub(super) fn percent_since(self, before: Self) -> Option<f64> {
        let elapsed = (self.at - before.at).as_secs_f64();
        (elapsed > 0.0).then(|| 100.0 * (self.seconds - before.seconds) / elapsed)
    }
}

/// When a process started, in clock ticks since boot: with its number the identity that survives reuse of numbers. `None` when
/// it is gone, or only its remains are left.
pub(super) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
