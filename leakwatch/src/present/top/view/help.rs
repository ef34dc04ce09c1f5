//! The keys, from the table that is obeyed, and the fields to filter and sort by.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::lines;
use crate::present::{
    fields::{FIELDS, Unit},
    top::{
        app::App,
        keys::{Context, Key},
        theme::Role,
    },
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, scroll: usize) -> usize {
    let theme = app.theme;
    let title = |text: String| Span::styled(text, theme.style(Role::Title));
    let mut text = Vec::new();
    for binding in Context::Screen.bindings() {
        let keys: Vec<_> = binding.keys.iter().copied().map(Key::label).collect();
        text.push(Line::from(vec![
            title(format!("{:<13} ", keys.join(" "))),
            binding.help.into(),
        ]));
    }
    text.push(lines::heading(
        theme,
        "Filter: terms separated by blanks, all must hold",
    ));
    for (example, meaning) in [
        ("java", "in name, command line, container or user"),
        ("rss>500MiB", "also = != < >= <=; B kB KiB MB MiB ..."),
        ("growth>10MiB/h", "per s, m, h or d; without a time per minute"),
        ("name~java", "contains; text also = and !="),
        ("state!=healthy", "observing, healthy, growing, zombie"),
        ("!term", "turned round"),
    ] {
        text.push(Line::from(vec![title(format!("{example:<14} ")), meaning.into()]));
    }
    text.push(lines::heading(theme, "Fields"));
    for field in FIELDS {
        let unit = match field.unit {
            Unit::Text | Unit::Identifier => "text",
            Unit::State => "state",
            Unit::Count => "count",
            Unit::Nanoseconds => "time",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "bytes/time",
            Unit::PerSecond => "count/time",
        };
        text.push(Line::from(vec![
            title(format!("{:<20} ", field.name)),
            Span::styled(format!("{unit:<10} "), theme.style(Role::Quiet)),
            field.help.into(),
        ]));
    }
    lines::page(frame, area, theme, "keys, filter, fields", text, scroll)
}
