//! The line in which the filter is typed, with what is wrong with it.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Modifier,
    text::{Line, Span},
};

use crate::present::{
    text,
    top::{app::App, prompt::Prompt, theme::Role},
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, prompt: &Prompt) {
    let theme = app.theme;
    let mut line = Line::from(Span::styled("/", theme.style(Role::Title)));
    let wrong = prompt.error.as_ref().map_or(0..0, |error| error.span.clone());
    for (part, bad) in [
        (&prompt.text[..wrong.start], false),
        (&prompt.text[wrong.clone()], true),
        (&prompt.text[wrong.end..], false),
    ] {
        let style = if bad {
            theme.style(Role::Bad).add_modifier(Modifier::UNDERLINED)
        } else {
            theme.style(Role::Plain)
        };
        line.push_span(Span::styled(theme.text(part).into_owned(), style));
    }
    let end = line.width();
    if let Some(error) = &prompt.error {
        let room = usize::from(area.width).saturating_sub(end + 2);
        let problem = error.problem.to_string();
        let problem = theme.text(&problem);
        let problem = text::truncated(&problem, room, theme.ellipsis());
        line.push_span(Span::styled(format!("  {problem}"), theme.style(Role::Quiet)));
    }
    // What is typed stays in sight: a text that is longer than the line is cut at its beginning.
    let cut = (end + 1).saturating_sub(area.width.into());
    let cut = u16::try_from(cut).unwrap_or(u16::MAX);
    frame.render_widget(ratatui::widgets::Paragraph::new(line).scroll((0, cut)), area);
    let column = u16::try_from(end).unwrap_or(u16::MAX).saturating_sub(cut);
    frame.set_cursor_position(Position::new(area.x + column.min(area.width - 1), area.y));
}
