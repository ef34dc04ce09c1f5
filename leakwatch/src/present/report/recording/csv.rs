//! For a spreadsheet, and to be read back: one line per process and reading, in base units (`docs/reports.md`).

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Write},
};

use crate::model::snapshot::Snapshot;
use crate::present::{fields::FieldId, report::csv, rows::RowSelection, sort::Sort};

/// Writes the readings of a recording one after the other: all of them never have to be in memory.
pub struct CsvWriter<W: Write> {
    out: BufWriter<W>,
    selection: RowSelection,
    begun: bool,
}

impl<W: Write> CsvWriter<W> {
    /// Of these processes; of all when there are none.
    pub fn new(out: W, pids: BTreeSet<u32>) -> Self {
        let sort = Sort {
            field: FieldId::Pid,
            invert: false,
        };
        Self {
            out: BufWriter::new(out),
            selection: RowSelection {
                pids,
                sort,
                ..RowSelection::default()
            },
            begun: false,
        }
    }

    /// Writes the next snapshot.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let head = !std::mem::replace(&mut self.begun, true);
        let rows = self.selection.rows(snapshot);
        csv::write(snapshot, &rows, head, &mut self.out)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}
