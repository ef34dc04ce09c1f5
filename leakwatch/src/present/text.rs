//! Text chosen by somebody else, made safe to show and made to fit.
//!
//! Names are already cleaned where they are read. They are cleaned again here because a snapshot may also come from a
//! file or a socket, and a terminal obeys whatever it is sent.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shown in place of a character that would act on the terminal or on the order of its neighbours.
const REPLACEMENT: char = '\u{fffd}';

/// The text with every control, bidirectional, invisible and line-breaking character replaced by U+FFFD.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) {
        Cow::Owned(
            text.chars()
                .map(|c| if acts(c) { REPLACEMENT } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// The text with everything outside ASCII replaced by `?`, for terminals that know no better.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect())
    }
}

/// Terminal columns that the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of the text that fits `columns`; what is cut off is marked by `mark`.
pub fn truncated(text: &str, columns: usize, mark: char) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(mark.width().unwrap_or(1)) else {
        return Cow::Borrowed("");
    };
    let mut used = 0;
    let end = text
        .char_indices()
        .find(|(_, c)| {
            used += c.width().unwrap_or(0);
            used > room
        })
        .map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{fff9}'..='\u{fffb}' // interlinear annotation
            | '\u{e0000}'..='\u{e007f}') // tags
}

#[cfg(test)]
mod tests {
    use super::{ascii, printable, truncated, width};
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(printable("\x1b[2Jrm"), "\u{fffd}[2Jrm");
        assert_eq!(printable("a\nb\r\u{9b}c"), "a\u{fffd}b\u{fffd}\u{fffd}c");
        assert_eq!(printable("\u{202e}gpj.exe\u{2066}"), "\u{fffd}gpj.exe\u{fffd}");
        assert_eq!(printable("naïve 日本"), "naïve 日本");
    }

    #[test]
    fn wide_characters_are_not_cut_in_half() {
        assert_eq!(truncated("日本語", 5, '…'), "日本…");
        assert_eq!(truncated("日本語", 4, '…'), "日…");
        assert_eq!(truncated("日本語", 6, '…'), "日本語");
        assert_eq!(truncated("abc", 0, '…'), "");
    }

    #[test]
    fn ascii_is_ascii() {
        assert_eq!(ascii("ünï"), "?n?");
    }

    proptest! {
        #[test]
        fn truncated_text_fits(text in any::<String>(), columns in 0_usize..40) {
            let text = printable(&text);
            prop_assert!(!text.contains(char::is_control));
            prop_assert!(width(&truncated(&text, columns, '…')) <= columns);
        }
    }
}
