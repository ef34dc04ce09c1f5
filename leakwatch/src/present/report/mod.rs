//! Snapshots written out: for people, for programs, for spreadsheets. One writer per format.

mod csv;
mod json;
mod table;

use std::io;

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
    pub fn write(&mut self, snapshot: &Snapshot, rows: &[Row], out: &mut dyn io::Write) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.format {
            Format::Table => {
                if !first {
                    writeln!(out)?;
                }
                table::write(snapshot, rows, self.width, self.ascii, out)
            }
            Format::Json => json::write_indented(snapshot, rows, out),
            Format::Jsonl => json::write_line(snapshot, rows, out),
            Format::Csv => csv::write(snapshot, rows, first, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Report};
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
}
