//! For a spreadsheet, and to be judged again: one line per process and reading. `docs/reports.md` has the columns; the
//! first nine are those that leakwatch imports.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use csv::{ErrorKind, Writer};

use crate::model::{
    finding::Resource,
    snapshot::{ProcessRow, Snapshot},
};
use crate::present::{fields::state_name, recording::series::levels, text};

const HEAD: [&str; 14] = [
    "time",
    "pid",
    "process",
    "start_time",
    "rss_bytes",
    "fds",
    "threads",
    "maps",
    "fd_limit",
    "state",
    "user",
    "exe",
    "container_id",
    "cmdline",
];

/// Writes the readings of a recording one after the other: all of them never have to be in memory.
pub struct CsvWriter<W: Write> {
    out: Writer<W>,
    /// Only these; everyone when empty.
    pids: BTreeSet<u32>,
    /// When the host booted, milliseconds since the epoch, by the first snapshot: the start of a process is its identity
    /// and must not jitter with the clocks.
    booted_unix_ms: Option<u64>,
}

impl<W: Write> CsvWriter<W> {
    /// Of these processes; of all when there are none.
    pub fn new(out: W, pids: BTreeSet<u32>) -> Self {
        Self {
            out: Writer::from_writer(out),
            pids,
            booted_unix_ms: None,
        }
    }

    /// Writes the next snapshot.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let booted = if let Some(booted) = self.booted_unix_ms {
            booted
        } else {
            self.out.write_record(HEAD).map_err(io_error)?;
            let booted = snapshot
                .time_unix_ms
                .saturating_sub(snapshot.uptime_ns / 1_000_000);
            *self.booted_unix_ms.insert(booted)
        };
        let is_wanted = |process: &&ProcessRow| self.pids.is_empty() || self.pids.contains(&process.id.pid);
        let time = timestamp(snapshot.time_unix_ms);
        for process in snapshot.processes.iter().filter(is_wanted) {
            let start = timestamp(booted.saturating_add(process.id.start_time_ns / 1_000_000));
            self.out
                .write_record(record(process, &time, start))
                .map_err(io_error)?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn record(process: &ProcessRow, time: &str, start: String) -> [String; HEAD.len()] {
    let levels = levels(process);
    let [memory, fds, threads, maps] = Resource::ALL.map(|resource| levels[resource as usize].to_string());
    let words = |words: Option<&str>| no_formula(&text::printable(words.unwrap_or_default()));
    [
        time.to_owned(),
        process.id.pid.to_string(),
        words(Some(&process.name)),
        start,
        memory,
        fds,
        threads,
        maps,
        process
            .fd_limit
            .map_or_else(String::new, |limit| limit.to_string()),
        state_name(process.state).to_owned(),
        words(Some(&process.user)),
        words(process.exe.as_deref()),
        words(process.container_id.as_deref()),
        words(process.cmdline.as_deref()),
    ]
}

/// Spreadsheets compute what begins like a formula, and formulas can start programs: with a quote before it, it is text.
fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// RFC 3339 in UTC, to the millisecond; the end of the calendar for what is beyond it.
fn timestamp(unix_ms: u64) -> String {
    const LAST_MS: u64 = 253_402_300_799_999;
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST_MS));
    humantime::format_rfc3339_millis(time).to_string()
}

/// The conversion that comes with the crate hides the kind, and with it that a pipe was closed.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
