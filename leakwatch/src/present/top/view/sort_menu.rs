//! The fields to sort by.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::lines;
use crate::present::{
    fields::FIELDS,
    top::{app::App, theme::Role},
};

const WIDTH: u16 = 76;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, chosen: usize) {
    let theme = app.theme;
    let sort = app.selection.sort;
    let lines = FIELDS.iter().enumerate().map(|(at, field)| {
        let mark = if field.id == sort.field {
            theme.arrow(sort.descending())
        } else {
            ' '
        };
        let role = if at == chosen { Role::Bar } else { Role::Plain };
        Line::from(vec![
            Span::styled(format!("{mark} {:<20}", field.name), theme.style(role)),
            Span::styled(format!(" {}", field.help), theme.style(Role::Quiet)),
        ])
    });
    let menu = Rect {
        width: area.width.min(WIDTH),
        height: area
            .height
            .min(u16::try_from(FIELDS.len() + 2).unwrap_or(u16::MAX)),
        ..area
    };
    let inside = usize::from(menu.height.saturating_sub(2));
    let scroll = (chosen + 1).saturating_sub(inside);
    lines::page(frame, menu, theme, "sort by", lines.collect(), scroll);
}
