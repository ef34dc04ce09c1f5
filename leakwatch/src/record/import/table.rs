//! The text: columns by name, one row for each reading of a process.

use std::{io::Read, sync::Arc};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::model::sanitize;

/// Most rows of a series; they are kept in memory, about 100 bytes each.
const MAX_ROWS: usize = 2_000_000;

/// Why a table is no series.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not CSV, or not readable.
    #[error("no CSV")]
    Csv(#[from] csv::Error),
    /// A column without which a series says nothing.
    #[error("no column {0}; there has to be time, pid, and at least one of rss_bytes, fds, threads, maps")]
    NoColumn(&'static str),
    /// A cell that is not what its column says.
    #[error("line {line}: {column} is {text:?}, not {expected}")]
    Cell {
        /// Line in the file, from 1 on.
        line: u64,
        /// Its column.
        column: &'static str,
        /// What is there; control characters are replaced.
        text: String,
        /// What should be.
        expected: &'static str,
    },
    /// Nothing but a header.
    #[error("no row")]
    Empty,
    /// More than is kept in memory.
    #[error("more than {MAX_ROWS} rows: leave out processes, or readings")]
    TooManyRows,
}

/// One reading of one process. `None`: the table does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Nanoseconds since the epoch.
    pub(super) time_ns: u64,
    pub(super) pid: u32,
    /// The same clock.
    pub(super) start_ns: Option<u64>,
    pub(super) process: Option<Arc<str>>,
    pub(super) levels: Levels,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) rss_bytes: Option<u64>,
    pub(super) fds: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) maps: Option<u64>,
    pub(super) fd_limit: Option<u64>,
}

impl Levels {
    /// What is not said stays as it was.
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            rss_bytes: self.rss_bytes.or(before.rss_bytes),
            fds: self.fds.or(before.fds),
            threads: self.threads.or(before.threads),
            maps: self.maps.or(before.maps),
            fd_limit: self.fd_limit.or(before.fd_limit),
        }
    }
}

/// Where each known column is.
struct Columns {
    time: usize,
    pid: usize,
    process: Option<usize>,
    start_time: Option<usize>,
    rss_bytes: Option<usize>,
    fds: Option<usize>,
    threads: Option<usize>,
    maps: Option<usize>,
    fd_limit: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, ImportError> {
        let find = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let columns = Self {
            time: find("time").ok_or(ImportError::NoColumn("time"))?,
            pid: find("pid").ok_or(ImportError::NoColumn("pid"))?,
            process: find("process"),
            start_time: find("start_time"),
            rss_bytes: find("rss_bytes"),
            fds: find("fds"),
            threads: find("threads"),
            maps: find("maps"),
            fd_limit: find("fd_limit"),
        };
        let levels = [columns.rss_bytes, columns.fds, columns.threads, columns.maps];
        if levels.iter().all(Option::is_none) {
            return Err(ImportError::NoColumn("rss_bytes, fds, threads or maps"));
        }
        Ok(columns)
    }
}

/// Every row, by time and then pid.
pub(super) fn read(input: impl Read) -> Result<Vec<Row>, ImportError> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
    let columns = Columns::of(reader.headers()?)?;
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    let mut name: Option<Arc<str>> = None;
    while reader.read_record(&mut record)? {
        if rows.len() == MAX_ROWS {
            return Err(ImportError::TooManyRows);
        }
        let process = columns.process.and_then(|at| record.get(at)).map(str::as_bytes);
        let process = process.map(sanitize::text).filter(|text| !text.is_empty());
        // Rows of one process follow each other, or those of few: most names are that of the row before.
        if name.as_deref() != process.as_deref() {
            name = process.map(Arc::from);
        }
        rows.push(row(&columns, &record, name.clone())?);
    }
    if rows.is_empty() {
        return Err(ImportError::Empty);
    }
    rows.sort_by_key(|row| (row.time_ns, row.pid));
    Ok(rows)
}

fn row(columns: &Columns, record: &StringRecord, process: Option<Arc<str>>) -> Result<Row, ImportError> {
    let line = record.position().map_or(0, csv::Position::line);
    let refused = |column, text: &str, expected| ImportError::Cell {
        line,
        column,
        text: sanitize::text(text.as_bytes()),
        expected,
    };
    let amount = |column, at: Option<usize>| match at.and_then(|at| record.get(at)) {
        None | Some("") => Ok(None),
        Some(text) => match amount(text) {
            None => Err(refused(column, text, "a number that is not negative")),
            known => Ok(known),
        },
    };
    let time_of = |column, text: &str| {
        time(text).ok_or_else(|| refused(column, text, "a time: unix seconds, or 2026-01-31T23:59:59Z"))
    };
    let text = |at| record.get(at).unwrap_or_default();
    let start_time = columns.start_time.map(text).filter(|text| !text.is_empty());
    let pid = text(columns.pid);
    Ok(Row {
        time_ns: time_of("time", text(columns.time))?,
        pid: pid.parse().map_err(|_| refused("pid", pid, "a process id"))?,
        start_ns: start_time.map(|text| time_of("start_time", text)).transpose()?,
        process,
        levels: Levels {
            rss_bytes: amount("rss_bytes", columns.rss_bytes)?,
            fds: amount("fds", columns.fds)?,
            threads: amount("threads", columns.threads)?,
            maps: amount("maps", columns.maps)?,
            fd_limit: amount("fd_limit", columns.fd_limit)?,
        },
    })
}

/// 2^63: what is beyond is no amount of anything.
const MOST: f64 = 9_223_372_036_854_775_808.0;

/// Whole, or as monitoring systems write it: `1.2e9`.
fn amount(text: &str) -> Option<u64> {
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    let number: f64 = text.parse().ok().filter(|number| (0.0..MOST).contains(number))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in range, and a fraction of a thing is nothing"
    )]
    Some(number as u64)
}

/// Nanoseconds since the epoch.
fn time(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1_000_000_000);
    }
    if let Some(seconds) = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..1e10).contains(seconds))
    {
        // To the microsecond, which is what a double holds of such a number.
        return amount(&(seconds * 1e6).to_string())?.checked_mul(1000);
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::{ImportError, Levels, amount, read, time};

    #[test]
    fn times_and_amounts_are_what_monitoring_writes() {
        let known = Some(1_767_225_599_000_000_000);
        assert_eq!(time("1767225599"), known);
        assert_eq!(time("1767225599.0"), known);
        assert_eq!(time("2025-12-31T23:59:59Z"), known);
        assert_eq!(time("2026-01-01T01:59:59+02:00"), known);
        assert_eq!(time("1767225599.25"), Some(1_767_225_599_250_000_000));
        assert_eq!(
            (amount("17"), amount("1.2e9"), amount("0.9")),
            (Some(17), Some(1_200_000_000), Some(0))
        );
        for wrong in ["", "-1", "nan", "inf", "1e300", "soon"] {
            assert_eq!((time(wrong), amount(wrong)), (None, None), "{wrong}");
        }
    }

    #[test]
    fn columns_are_found_by_name_and_rows_sorted_by_time() {
        let rows = read(&b"fds,Time, PID ,cpu,process\n7,20,1,99,nginx\n,10,2,,\x1bx\n5,10,1,,nginx\n"[..])
            .expect("a series");
        let keys: Vec<_> = rows
            .iter()
            .map(|row| (row.time_ns, row.pid, row.levels.fds))
            .collect();
        let second = 1_000_000_000;
        assert_eq!(
            keys,
            [
                (10 * second, 1, Some(5)),
                (10 * second, 2, None),
                (20 * second, 1, Some(7))
            ]
        );
        assert_eq!(rows[1].process.as_deref(), Some("\u{fffd}x"));
        assert_eq!(rows[0].levels.or(Levels::default()).rss_bytes, None);
    }

    #[test]
    fn errors_say_where() {
        let error = |text: &str| read(text.as_bytes()).expect_err(text).to_string();
        assert!(error("time,fds\n1,2\n").starts_with("no column pid"));
        assert!(error("time,pid,cpu\n1,2,3\n").starts_with("no column rss_bytes, fds"));
        assert_eq!(
            error("time,pid,fds\n1,2,3\n1,2,-4\n"),
            "line 3: fds is \"-4\", not a number that is not negative"
        );
        assert!(error("time,pid,fds\nnoon,2,3\n").contains("time is \"noon\""));
        assert!(matches!(read(&b"time,pid,fds\n"[..]), Err(ImportError::Empty)));
        assert!(matches!(
            read(&b"time,pid,fds\n1,2\n"[..]),
            Err(ImportError::Csv(_))
        ));
    }
}
