//! Snapshots written out: for people, for programs, for spreadsheets. One writer per format.

mod csv;
mod json;
pub mod recording;
mod table;
pub mod trace;

use std::io::{self, BufWriter, Write};

use super::rows::Row;
use crate::model::snapshot::Snapshot;

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One indented JSON document per snapshot.
    Json,
    /// One line of JSON per snapshot.
    Jsonl,
    /// One line per process under a head line, in base units.
    Csv,
}

/// Writes snapshots one after the other.
#[derive(Debug)]
pub struct Report {
    format: Format,
    width: Option<u16>,
    ascii: bool,
    begun: bool,
}

impl Report {
    /// A report that a terminal `width` columns wide shows without wrapping; `None` cuts nothing. With `ascii`, tables
    /// have nothing outside ASCII.
    pub fn new(format: Format, width: Option<u16>, ascii: bool) -> Self {
        Self {
            format,
            width,
            ascii,
            begun: false,
        }
    }

    /// Writes the chosen rows of one snapshot, and whatever has to stand between it and the one before.
    pub fn write(&mut self, snapshot: &Snapshot, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        // Standard output is flushed at every line, and an indented document has sixty for each process.
        let mut out = BufWriter::with_capacity(BUFFER, out);
        match self.format {
            Format::Table => {
                if !first {
                    writeln!(out)?;
                }
                table::write(snapshot, rows, self.width, self.ascii, &mut out)?;
            }
            Format::Json => json::write_indented(snapshot, rows, &mut out)?,
            Format::Jsonl => json::write_line(snapshot, rows, &mut out)?,
            Format::Csv => csv::write(snapshot, rows, first, &mut out)?,
        }
        out.flush()
    }
}

/// Bytes collected before they are written.
const BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::{Format, Report, Write, io};
    use crate::model::snapshot::Snapshot;
    use crate::present::{rows::RowSelection, sample};

    fn twice(format: Format, width: Option<u16>, snapshot: &Snapshot) -> String {
        let rows = RowSelection::default().rows(snapshot);
        let mut report = Report::new(format, width, false);
        let mut out = Vec::new();
        for _ in 0..2 {
            report
                .write(snapshot, &rows, &mut out)
                .expect("memory takes writes");
        }
        String::from_utf8(out).expect("reports are UTF-8")
    }

    #[test]
    fn tables() {
        insta::assert_snapshot!("table_unlimited", twice(Format::Table, None, &sample::snapshot()));
        insta::assert_snapshot!("table_80", twice(Format::Table, Some(80), &sample::degraded()));
    }

    #[test]
    fn comma_separated_values_have_one_head_line() {
        insta::assert_snapshot!("csv", twice(Format::Csv, None, &sample::snapshot()));
    }

    #[test]
    fn json_lines_are_lines_and_read_back_as_written() {
        let snapshot = sample::snapshot();
        let text = twice(Format::Jsonl, None, &snapshot);
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let mut read: Snapshot = serde_json::from_str(line).expect("a line is a document");
            assert_eq!(
                read.processes[0].name, "payments",
                "rows are in the order asked for"
            );
            read.processes.sort_by_key(|process| process.id);
            assert_eq!(read, snapshot);
        }
    }

    #[test]
    fn hostile_names_reach_no_terminal() {
        let snapshot = sample::hostile();
        for width in [None, Some(40), Some(80), Some(200)] {
            let text = twice(Format::Table, width, &snapshot);
            assert!(!text.contains(['\x1b', '\x07', '\u{202e}', '\t']), "{text}");
            let lines = 2 * (2 + snapshot.processes.len()) + 1 + usize::from(snapshot.health.degraded());
            assert_eq!(
                text.lines().count(),
                lines,
                "a line break in a name makes no line\n{text}"
            );
        }
        for format in [Format::Json, Format::Jsonl] {
            assert!(!twice(format, None, &snapshot).contains(['\x1b', '\x07']));
        }
        assert!(!twice(Format::Csv, None, &snapshot).contains(['\x1b', '\x07', '\u{202e}']));
    }

    #[test]
    fn a_table_is_no_wider_than_its_terminal() {
        for snapshot in [sample::degraded(), sample::hostile()] {
            for width in [40, 60, 80, 120, 200] {
                let text = twice(Format::Table, Some(width), &snapshot);
                for line in text.lines() {
                    assert!(
                        unicode_width::UnicodeWidthStr::width(line) <= width.into(),
                        "{width}: {line}"
                    );
                }
            }
        }
    }

    /// A pipe that nobody reads any more.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_told_as_such() {
        let mut snapshot = sample::snapshot();
        snapshot.processes = (0..1000).map(|pid| sample::process(pid, "p")).collect();
        let few = sample::snapshot();
        for format in [Format::Table, Format::Json, Format::Jsonl, Format::Csv] {
            for snapshot in [&few, &snapshot] {
                let rows = RowSelection::default().rows(snapshot);
                let result = Report::new(format, None, false).write(snapshot, &rows, &mut Closed);
                let error = result.expect_err("nobody reads");
                assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{format:?}");
            }
        }
    }
}
