//! Names as their language writes them. A name is a hostile program's choice: a mangled one of a few hundred bytes may
//! stand for gigabytes, so writing stops at [`MAX_NAME`].

use std::fmt::{self, Write};

use crate::model::sanitize;

/// Longest name that is kept, bytes.
const MAX_NAME: usize = 1024;
/// Longest mangled name that is looked into, bytes.
const MAX_MANGLED: usize = 16 * 1024;

/// A name for showing: demangled when it is Rust's or C++'s, bounded, without control characters.
pub(crate) fn name(raw: &str) -> String {
    let demangled = (raw.len() <= MAX_MANGLED).then(|| demangled(raw)).flatten();
    shown(demangled.as_deref().unwrap_or(raw))
}

/// Text of a symbol source for showing.
pub(crate) fn shown(text: &str) -> String {
    if text.len() <= MAX_NAME {
        return sanitize::text(text.as_bytes());
    }
    let kept = &text[..text.floor_char_boundary(MAX_NAME)];
    sanitize::text(kept.as_bytes()) + "…"
}

fn demangled(raw: &str) -> Option<String> {
    let mut out = Bounded(String::new());
    if let Ok(rust) = rustc_demangle::try_demangle(raw) {
        // The alternate form leaves the hash out. An error is the bound: what was written so far is the name.
        let _ = write!(out, "{rust:#}");
    } else if raw.starts_with("_Z") {
        let symbol = cpp_demangle::Symbol::new(raw).ok()?;
        let written = symbol.structured_demangle(&mut out, &cpp_demangle::DemangleOptions::default());
        if written.is_err() && out.0.len() <= MAX_NAME {
            return None;
        }
    }
    (!out.0.is_empty()).then_some(out.0)
}

/// Takes a little more than [`MAX_NAME`] bytes, so that it shows that there were more.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (MAX_NAME + 8).saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MAX_NAME, Write as _, name};

    #[test]
    fn each_language() {
        assert_eq!(name("malloc"), "malloc");
        assert_eq!(name("main.(*server).handle"), "main.(*server).handle");
        assert_eq!(name("_ZN3foo3barEi"), "foo::bar(int)");
        assert_eq!(name("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(name("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(name("_Znwm"), "operator new(unsigned long)");
    }

    #[test]
    fn escapes_and_length() {
        assert_eq!(name("a\u{1b}[2J"), "a\u{fffd}[2J");
        assert_eq!(name(&"é".repeat(5000)).len(), MAX_NAME + "…".len());
    }

    #[test]
    fn a_name_that_doubles_with_each_substitution_is_cut() {
        let mut bomb = String::from("_Z1fI1aE");
        for level in 0..30 {
            let seq = char::from_digit(level, 36).unwrap().to_ascii_uppercase();
            write!(bomb, "1pIS{seq}_S{seq}_E").unwrap();
        }
        let began = Instant::now();
        assert!(name(&bomb).len() <= bomb.len().max(MAX_NAME + 8));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
