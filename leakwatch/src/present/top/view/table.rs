//! The process table.

use std::borrow::Cow;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use crate::model::snapshot::ProcessRow;
use crate::present::{
    columns::{self, Column},
    fields::{Field, FieldId},
    rows::Row,
    text,
    top::{
        app::App,
        theme::{Role, Theme},
    },
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (sign, columns) = columns::fitting_with_sign(area.width);
    let mut line = area;
    line.height = 1;
    frame.render_widget(head(app, sign, &columns), line);
    let Some(snapshot) = app.snapshot() else { return };
    let visible = usize::from(area.height.saturating_sub(1));
    for row in app.rows.iter().skip(app.offset).take(visible) {
        line.y += 1;
        let process = &snapshot.processes[row.index];
        let mut cells = cells(app, process, row, sign, &columns);
        if app.cursor == Some(process.id) {
            cells = cells.style(app.theme.style(Role::Bar));
            frame.buffer_mut().set_style(line, app.theme.style(Role::Bar));
        }
        frame.render_widget(cells, line);
    }
    if app.rows.is_empty() && area.height > 1 {
        line.y += 1;
        let message = if app.selection.filter.is_empty() {
            "  none of the processes asked for is running"
        } else {
            "  no process matches the filter; Esc drops it"
        };
        frame.render_widget(
            Line::from(Span::styled(message, app.theme.style(Role::Quiet))),
            line,
        );
    }
}

fn head<'a>(app: &App, sign: bool, columns: &[Column]) -> Line<'a> {
    let sort = app.selection.sort;
    let mut line = Line::default().style(app.theme.style(Role::Bar));
    if sign {
        line.push_span("  ");
    }
    for (at, column) in columns.iter().enumerate() {
        let mut title = column.field.title.to_owned();
        if column.field.id == sort.field {
            title.push(app.theme.arrow(sort.descending()));
        }
        push(
            &mut line,
            at > 0,
            &padded(&title, column, app.theme),
            Style::new(),
        );
    }
    line
}

fn cells<'a>(app: &App, process: &ProcessRow, row: &Row, sign: bool, columns: &[Column]) -> Line<'a> {
    let theme = app.theme;
    let (glyph, state_role) = theme.state(process.state);
    let mut line = Line::default();
    if sign {
        line.push_span(Span::styled(glyph.to_string(), theme.style(state_role)));
        line.push_span(" ");
    }
    for (at, column) in columns.iter().enumerate() {
        let cell = column.field.cell(process);
        let cell = match column.field.id {
            FieldId::State => format!("{glyph} {cell}").into(),
            FieldId::Name => name(app, process, row, cell),
            _ => cell,
        };
        let style = theme.style(role(column.field, process, theme));
        push(
            &mut line,
            at > 0,
            &padded(&theme.text(&cell), column, theme),
            style,
        );
    }
    line
}

/// In a tree the name stands below its parent's, with a sign that says whether there is more below it.
fn name<'a>(app: &App, process: &ProcessRow, row: &Row, name: Cow<'a, str>) -> Cow<'a, str> {
    if !app.selection.tree {
        return name;
    }
    let fold = match (row.parent, app.selection.collapsed.contains(&process.id)) {
        (false, _) => ' ',
        (true, true) => '+',
        (true, false) => '-',
    };
    format!("{}{fold}{name}", " ".repeat(row.depth)).into()
}

fn role(field: &Field, process: &ProcessRow, theme: Theme) -> Role {
    match field.id {
        FieldId::State => theme.state(process.state).1,
        FieldId::Name if process.state.grows() => theme.state(process.state).1,
        FieldId::Fds => match process
            .fd_limit
            .map(|limit| u64::from(process.fds) * 100 / limit.max(1))
        {
            Some(90..) => Role::Bad,
            Some(70..) => Role::Warning,
            _ => Role::Plain,
        },
        _ => Role::Plain,
    }
}

fn padded(cell: &str, column: &Column, theme: Theme) -> String {
    let room = usize::from(column.width);
    let cell = text::truncated(cell, room, theme.ellipsis());
    let blank = " ".repeat(room.saturating_sub(text::width(&cell)));
    if column.field.unit.is_number() {
        format!("{blank}{cell}")
    } else {
        format!("{cell}{blank}")
    }
}

fn push(line: &mut Line<'_>, gap: bool, cell: &str, style: Style) {
    if gap {
        line.push_span(" ");
    }
    line.push_span(Span::styled(cell.to_owned(), style));
}
