//! What a process's runtimes and its allocator hold, by their own books.

use ratatui::text::Line;

use super::lines;
use crate::{
    model::{census::RuntimeView, snapshot::ProcessRow},
    present::{
        census,
        top::theme::{Role, Theme},
    },
};

/// Rows shown of each runtime.
const SHOWN: usize = 8;

/// A heading and a few lines for each; nothing where nothing was read.
pub(super) fn lines(theme: Theme, process: &ProcessRow, width: usize) -> Vec<Line<'static>> {
    let views = process.census.iter().flat_map(|census| &census.views);
    views.flat_map(|view| one(theme, view, width)).collect()
}

fn one(theme: Theme, view: &RuntimeView, width: usize) -> Vec<Line<'static>> {
    let title = format!("Books of {}", census::title(view));
    let mut text = vec![lines::heading(theme, theme.text(&title).into_owned())];
    let numbers = census::numbers(view);
    let entries = numbers
        .iter()
        .map(|(label, value)| lines::entry(theme, &theme.text(label), value.clone()));
    text.extend(lines::flow(entries, width));
    for row in view.rows.iter().take(SHOWN) {
        let things = theme.text(&census::things(row.counted, &row.name)).into_owned();
        text.extend(lines::wrapped(
            lines::entry(theme, &things, census::amount(row.count, row.bytes)),
            width,
        ));
    }
    if view.rows.len() > SHOWN {
        let more = format!("  and {} more", view.rows.len() - SHOWN);
        text.push(Line::styled(more, theme.style(Role::Quiet)));
    }
    if let Some(unknown) = &view.unknown {
        let why = theme.text(&format!("not all of it: {unknown}")).into_owned();
        text.extend(lines::prose(Line::styled(why, theme.style(Role::Quiet)), width));
    }
    text
}
