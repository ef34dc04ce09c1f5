//! Results in a page of the documentation, between markers that say whose they are.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Replaces what stands between the markers of `section` in `page`.
pub fn replace(page: &Path, section: &str, text: &str) -> Result<()> {
    let before = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let after = spliced(&before, section, text)
        .with_context(|| format!("{} has no markers for {section}", page.display()))?;
    fs::write(page, after).with_context(|| format!("cannot write {}", page.display()))
}

fn spliced(page: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- results: {section} -->\n"),
        format!("<!-- end: {section} -->"),
    );
    let from = page.find(&begin)? + begin.len();
    let to = from + page[from..].find(&end)?;
    Some(format!("{}\n{}\n\n{}", &page[..from], text.trim(), &page[to..]))
}

#[cfg(test)]
mod tests {
    use super::spliced;

    const PAGE: &str =
        "a\n<!-- results: x -->\nold\n<!-- end: x -->\nb\n<!-- results: y -->\n<!-- end: y -->\n";

    #[test]
    fn only_the_section_changes() {
        assert_eq!(
            spliced(PAGE, "x", "new\n").as_deref(),
            Some(
                "a\n<!-- results: x -->\n\nnew\n\n<!-- end: x -->\nb\n<!-- results: y -->\n<!-- end: y -->\n"
            )
        );
    }

    #[test]
    fn a_second_write_leaves_nothing_of_the_first() {
        let once = spliced(PAGE, "x", "one").expect("markers");
        assert_eq!(spliced(&once, "x", "two"), spliced(PAGE, "x", "two"));
    }

    #[test]
    fn a_page_without_markers_is_refused() {
        assert_eq!(spliced(PAGE, "z", "new"), None);
    }
}
