//! A runtime with as much of its version as people say.

use std::borrow::Cow;

/// Major and minor part of a version, with nothing else: what is worth a label or a column. Patches are many.
pub(super) fn short_version(version: &str) -> &str {
    let end = version
        .match_indices('.')
        .nth(1)
        .map_or(version.len(), |(at, _)| at);
    let is_in_numbers = |c: char| c.is_ascii_digit() || c == '.';
    let numbers = &version[..end];
    let numbers = &numbers[..numbers.find(|c| !is_in_numbers(c)).unwrap_or(numbers.len())];
    numbers.trim_end_matches('.')
}

/// `python 3.11`; the name alone when no version is known.
pub(super) fn named<'a>(runtime: &'a str, version: Option<&str>) -> Cow<'a, str> {
    match version.map(short_version) {
        None | Some("") => runtime.into(),
        Some(version) => format!("{runtime} {version}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{named, short_version};

    #[test]
    fn short_versions_have_two_numbers_at_the_most() {
        for (version, expected) in [
            ("3.11.2", "3.11"),
            ("17.0.15+6", "17.0"),
            ("1.8.0_402-b06", "1.8"),
            ("25", "25"),
            ("1.27rc1", "1.27"),
            ("21+35-LTS", "21"),
            ("21.", "21"),
            ("x", ""),
            ("", ""),
        ] {
            assert_eq!(short_version(version), expected);
        }
    }

    #[test]
    fn a_version_that_is_none_is_left_out() {
        assert_eq!(named("python", Some("3.11.2")), "python 3.11");
        assert_eq!(named("python", Some("devel")), "python");
        assert_eq!(named("python", None), "python");
    }
}
