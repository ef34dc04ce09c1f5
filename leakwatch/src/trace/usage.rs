//! Processor time and memory of the process that is traced.

use std::{fs, io, time::Instant};

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

/// Anonymous memory of a process that is resident, bytes; `None` when it is gone.
pub(super) fn resident_anonymous(pid: u32) -> Option<i64> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let kibibytes = i64::try_from(process.status().ok()?.rssanon?).ok()?;
    kibibytes.checked_mul(1024)
}

/// When a process started, in clock ticks since boot: with its number the identity that survives reuse of numbers.
///
/// # Errors
/// `ENOENT` when it is gone, `ESRCH` when only its remains are left.
pub(super) fn started(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_ascii_whitespace();
    let is_gone = matches!(fields.next(), None | Some("Z" | "X"));
    let started = fields.nth(18).and_then(|ticks| ticks.parse().ok());
    started
        .filter(|_| !is_gone)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}
