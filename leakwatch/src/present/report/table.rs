//! The process table as text.

use std::{borrow::Cow, io};

use crate::model::snapshot::{ProcessRow, Snapshot};
use crate::present::{
    columns::{self, Column},
    fields::FieldId,
    rows::Row,
    summary, text,
};

pub(super) fn write(
    snapshot: &Snapshot,
    rows: &[Row],
    width: Option<u16>,
    ascii: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mark = if ascii { '~' } else { '…' };
    let mut line = |content: &str| {
        let content = text::printable(content);
        let content = if ascii { text::ascii(&content) } else { content };
        let content = match width {
            Some(width) => text::truncated(&content, width.into(), mark),
            None => content,
        };
        writeln!(out, "{}", content.trim_end())
    };
    line(&format!(
        "{} {} {} of {} processes",
        snapshot.host,
        summary::time(snapshot.time_unix_ms),
        rows.len(),
        snapshot.processes.len()
    ))?;
    for problem in summary::problems(&snapshot.health) {
        line(&format!("degraded: {problem}"))?;
    }
    let columns = match width {
        Some(width) => columns::fitting(width),
        None => natural(snapshot, rows),
    };
    let head = columns.iter().map(|column| (column, column.field.title.into()));
    line(&joined(head, mark))?;
    for row in rows {
        let process = &snapshot.processes[row.index];
        let cells = columns
            .iter()
            .map(|column| (column, cell(column.field.id, process, row.depth)));
        line(&joined(cells, mark))?;
    }
    Ok(())
}

fn cell(id: FieldId, process: &ProcessRow, depth: usize) -> Cow<'_, str> {
    let cell = id.field().cell(process);
    let cell = if id == FieldId::Name && depth > 0 {
        format!("{}{cell}", "  ".repeat(depth)).into()
    } else {
        cell
    };
    match cell {
        Cow::Borrowed(borrowed) => text::printable(borrowed),
        Cow::Owned(owned) => text::printable(&owned).into_owned().into(),
    }
}

/// Every column, as wide as its widest cell.
fn natural(snapshot: &Snapshot, rows: &[Row]) -> Vec<Column> {
    columns::all()
        .map(|id| {
            let widest = rows
                .iter()
                .map(|row| text::width(&cell(id, &snapshot.processes[row.index], row.depth)))
                .max()
                .unwrap_or(0);
            let width = widest.max(text::width(id.field().title));
            Column {
                field: id.field(),
                width: u16::try_from(width).unwrap_or(u16::MAX),
            }
        })
        .collect()
}

fn joined<'a>(cells: impl Iterator<Item = (&'a Column, Cow<'a, str>)>, mark: char) -> String {
    let mut line = String::new();
    for (column, cell) in cells {
        let room = usize::from(column.width);
        let cell = text::truncated(&cell, room, mark);
        let padding = " ".repeat(room.saturating_sub(text::width(&cell)));
        if !line.is_empty() {
            line.push(' ');
        }
        if column.field.unit.is_number() {
            line.push_str(&padding);
            line.push_str(&cell);
        } else {
            line.push_str(&cell);
            line.push_str(&padding);
        }
    }
    line
}
