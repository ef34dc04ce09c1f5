//! A bordered page of lines that scrolls.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use crate::present::{
    text,
    top::theme::{Role, Theme},
};

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
        block = block.title_bottom(Line::from(format!(" {} more, PgDn ", most - scroll)).right_aligned());
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(shown).block(block), area);
    most
}

/// What something is, and its value.
pub(super) fn entry<'a>(theme: Theme, label: &str, text: impl Into<String>) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!("{label} "), theme.style(Role::Quiet)),
        Span::raw(text.into()),
    ])
}

/// Entries beside each other, as many as fit a line, below a heading.
pub(super) fn flow(entries: impl IntoIterator<Item = Line<'static>>, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some(line) if line.width() + GAP.len() + entry.width() <= width => {
                line.push_span(GAP);
                line.spans.extend(entry.spans);
            }
            _ => {
                let mut line = Line::from(INDENT);
                line.spans.extend(entry.spans);
                lines.push(line);
            }
        }
    }
    lines
}

/// One entry on as many lines as it takes.
pub(super) fn wrapped(entry: Line<'static>, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(INDENT.len()).max(1);
    let mut lines = vec![Line::from(INDENT)];
    let mut used = 0;
    for span in entry.spans {
        let mut part = String::new();
        for c in span.content.chars() {
            let columns = text::width(c.encode_utf8(&mut [0; 4]));
            if used + columns > room {
                push(&mut lines, Span::styled(std::mem::take(&mut part), span.style));
                lines.push(Line::from(INDENT));
                used = 0;
            }
            used += columns;
            part.push(c);
        }
        push(&mut lines, Span::styled(part, span.style));
    }
    lines
}

/// A sentence on as many lines as it takes, broken between words; a word wider than a line is broken anywhere.
pub(super) fn prose(sentence: Line<'static>, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(INDENT.len()).max(1);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut used = 0;
    for span in sentence.spans {
        for word in span.content.split_inclusive(' ') {
            let columns = text::width(word.trim_end());
            let word = Span::styled(word.to_owned(), span.style);
            if lines.is_empty() || used + columns > room {
                let mut broken = wrapped(Line::from(word), width);
                used = broken
                    .last()
                    .map_or(0, |line| line.width().saturating_sub(INDENT.len()));
                lines.append(&mut broken);
            } else {
                used += word.width();
                push(&mut lines, word);
            }
        }
    }
    lines
}

fn push(lines: &mut [Line<'static>], span: Span<'static>) {
    if let Some(line) = lines.last_mut() {
        line.push_span(span);
    }
}

/// Before everything that stands below a heading.
pub(super) const INDENT: &str = "  ";
const GAP: &str = "   ";

/// A heading.
pub(super) fn heading<'a>(theme: Theme, text: impl Into<String>) -> Line<'a> {
    Line::from(Span::styled(text.into(), theme.style(Role::Title)))
}

#[cfg(test)]
mod tests {
    use super::{flow, prose, wrapped};
    use ratatui::text::Line;

    #[test]
    fn entries_flow_over_lines_and_none_is_lost() {
        let lines = flow(["one", "two", "threehundred", "4"].map(Line::from), 12);
        let text: Vec<_> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["  one   two", "  threehundred", "  4"]);
    }

    #[test]
    fn a_sentence_is_broken_between_words_and_a_long_word_anywhere() {
        let lines = prose(
            Line::from(vec!["+1 ".into(), "leaks sockets/of/it now".into()]),
            10,
        );
        let text: Vec<_> = lines
            .iter()
            .map(|line| line.to_string().trim_end().to_owned())
            .collect();
        assert_eq!(text, ["  +1 leaks", "  sockets/", "  of/it", "  now"]);
    }

    #[test]
    fn a_long_entry_is_wrapped_by_columns_and_not_cut() {
        let lines = wrapped(Line::from(vec!["command ".into(), "日本 --x".into()]), 12);
        let text: Vec<_> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["  command 日", "  本 --x"]);
    }
}
