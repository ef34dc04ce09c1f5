//! Comma-separated values: the time of the snapshot, then every field in base units, empty when not observed.

use std::io;

use csv::{ErrorKind, Writer};

use crate::model::snapshot::Snapshot;
use crate::present::{fields::FIELDS, rows::Row, text};

pub(super) fn write(
    snapshot: &Snapshot,
    rows: &[Row],
    head: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    // The conversion that comes with the crate hides the kind, and with it that a pipe was closed.
    records(snapshot, rows, head, out).map_err(|error| match error.into_kind() {
        ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    })
}

fn records(snapshot: &Snapshot, rows: &[Row], head: bool, out: &mut dyn io::Write) -> csv::Result<()> {
    let mut csv = Writer::from_writer(out);
    if head {
        csv.write_record(std::iter::once("time_unix_ms").chain(FIELDS.iter().map(|field| field.key)))?;
    }
    for row in rows {
        let process = &snapshot.processes[row.index];
        csv.write_field(snapshot.time_unix_ms.to_string())?;
        for field in FIELDS {
            csv.write_field(text::printable(&(field.value)(process).raw()).as_bytes())?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush().map_err(csv::Error::from)
}
