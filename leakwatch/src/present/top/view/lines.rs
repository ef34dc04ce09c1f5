//! A bordered page of lines that scrolls.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use crate::present::top::theme::{Role, Theme};

/// Draws a page, scrolled down by `scroll` lines or as far as it goes; how far that is.
pub(super) fn page(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: Theme,
    title: &str,
    lines: Vec<Line<'_>>,
    scroll: usize,
) -> usize {
    let most = lines.len().saturating_sub(area.height.saturating_sub(2).into());
    let scroll = scroll.min(most);
    let shown: Vec<_> = lines.into_iter().skip(scroll).collect();
    let mut block = Block::bordered()
        .border_set(theme.border())
        .title(Span::styled(format!(" {title} "), theme.style(Role::Title)));
    if most > scroll {
        block = block.title_bottom(Line::from(format!(" {} more ", most - scroll)).right_aligned());
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(shown).block(block), area);
    most
}

/// A line that begins with what it is about.
pub(super) fn entry<'a>(theme: Theme, label: &str, text: impl Into<String>) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!("{label:<12} "), theme.style(Role::Quiet)),
        Span::raw(text.into()),
    ])
}

/// A heading with a blank line before it.
pub(super) fn heading<'a>(theme: Theme, text: impl Into<String>) -> [Line<'a>; 2] {
    [
        Line::default(),
        Line::from(Span::styled(text.into(), theme.style(Role::Title))),
    ]
}
