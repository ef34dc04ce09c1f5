//! The last line: what happened, where a jump stands, or which keys there are.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use crate::present::{
    text,
    top::{app::App, theme::Role},
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let theme = app.theme;
    if let Some(message) = &app.message {
        let message = theme.text(message);
        let shown = text::truncated(&message, area.width.into(), theme.ellipsis());
        frame.render_widget(Span::styled(shown.into_owned(), theme.style(Role::Title)), area);
        return;
    }
    if let (digits, true) = &app.jump {
        frame.render_widget(Line::from(format!("pid {digits}_  (n next, N previous)")), area);
        return;
    }
    let mut line = Line::default();
    for binding in app.context().bindings() {
        let Some(hint) = binding.hint else { continue };
        let Some(key) = binding.keys.first() else { continue };
        let label = key.label();
        let blank = if line.spans.is_empty() { "" } else { "  " };
        if line.width() + blank.len() + label.len() + 1 + hint.len() > area.width.into() {
            break;
        }
        line.push_span(blank);
        line.push_span(Span::styled(label, theme.style(Role::Title)));
        line.push_span(format!(" {hint}"));
    }
    frame.render_widget(line, area);
}
