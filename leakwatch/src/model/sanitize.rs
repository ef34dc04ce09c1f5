//! Text from a process is hostile: its name may hold escape sequences. Everything that is shown passes here.

/// Replaces what could move a cursor, change a colour, reorder text or break a line by U+FFFD; invalid UTF-8 as well.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if is_hostile(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Controls; line and paragraph separators; marks that override the direction of text.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn escapes_are_shown_and_not_obeyed() {
        assert_eq!(text(b"a\x1b[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(text(b"a\nb\rc\0"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(text("\u{202e}gnp.exe".as_bytes()), "\u{fffd}gnp.exe");
        assert_eq!(text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(text("größe-日本".as_bytes()), "größe-日本");
    }
}
