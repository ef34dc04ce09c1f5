//! Workflow commands of GitHub Actions: an annotation per finding, and all of it in a group that can be opened.
//!
//! Escaping as in actions/toolkit, `packages/core/src/command.ts`; what the runner takes for a command as in actions/runner,
//! `ActionCommand.cs`: `::` after leading blanks, and `##[` anywhere in a line.

use std::io;

use super::{
    Document, Style,
    holder::top_holder,
    sentence::{sentence, things, who},
    text,
};
use crate::{
    model::finding::{Finding, Verdict},
    present::text::printable,
};

pub(super) fn write(document: &Document, threshold: Verdict, out: &mut dyn io::Write) -> io::Result<()> {
    let summary = if document.is_instant() {
        super::limits::summary(&document.limits)
    } else {
        document.summary(threshold)
    };
    let mut plain = Vec::new();
    text::write(document, threshold, Style::default(), &mut plain)?;
    writeln!(out, "::group::leakwatch: {}", data(&summary))?;
    for line in String::from_utf8_lossy(&plain).lines() {
        writeln!(out, "{}", inert(line))?;
    }
    writeln!(out, "::endgroup::")?;
    for finding in &document.findings {
        let level = match finding.verdict {
            verdict if verdict >= threshold => "error",
            Verdict::Leaking | Verdict::Suspected => "warning",
            _ => "notice",
        };
        let title = format!(
            "{} {}: {}",
            finding.verdict.name(),
            things(finding.resource),
            who(finding)
        );
        writeln!(
            out,
            "::{level} title={}{}::{}",
            property(&title),
            place(finding),
            data(&sentence(finding))
        )?;
    }
    let level = if document.is_instant() { "error" } else { "warning" };
    for near in document.limits.iter().filter(|near| near.is_critical()) {
        let process = near.process.as_deref().unwrap_or(&document.host);
        let said = format!(
            "{process}: {:.0} % of {} is used",
            near.used_percent(),
            near.limit.name
        );
        writeln!(out, "::{level} title=near a limit::{}", data(&said))?;
    }
    for problem in &document.problems {
        writeln!(out, "::warning title=not observed::{}", data(problem))?;
    }
    Ok(())
}

/// Where in the sources, when the function to look at has a line.
fn place(finding: &Finding) -> String {
    let of_holder = top_holder(finding).and_then(|holder| holder.frames.first());
    let frame = of_holder.or_else(|| {
        let site = finding.sites.first()?;
        site.frames.iter().find(|frame| frame.function == site.function)
    });
    match frame.map(|frame| (&frame.file, frame.line)) {
        Some((Some(file), Some(line))) => format!(",file={},line={line}", property(file)),
        _ => String::new(),
    }
}

fn data(text: &str) -> String {
    printable(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The line, where the runner looks for no command in it.
fn inert(line: &str) -> String {
    let line = line.replace("##[", "# #[");
    if line.trim_start().starts_with("::") {
        format!("| {line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Verdict, data, inert, property, write};
    use crate::present::findings::sample;

    fn github(document: &Document, threshold: Verdict) -> String {
        let mut out = Vec::new();
        write(document, threshold, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("text is UTF-8")
    }

    /// Lines that the runner would act on.
    fn commands(text: &str) -> Vec<&str> {
        let acts = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
        text.lines().filter(acts).collect()
    }

    #[test]
    fn findings_are_annotations() {
        insta::assert_snapshot!("github", github(&sample::document(), Verdict::Leaking));
    }

    #[test]
    fn only_what_fails_the_check_is_an_error() {
        let mut document = sample::document();
        document.findings[0].verdict = Verdict::Suspected;
        document.limits.clear();
        let levels = |threshold| {
            let text = github(&document, threshold);
            let words = commands(&text)
                .into_iter()
                .map(|line| line[2..].split([' ', ':']).next().unwrap_or_default());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            levels(Verdict::Leaking),
            ["group", "endgroup", "warning", "notice"]
        );
        assert_eq!(
            levels(Verdict::Suspected),
            ["group", "endgroup", "error", "notice"]
        );
    }

    #[test]
    fn hostile_names_make_no_command() {
        let usual = github(&sample::document(), Verdict::Leaking);
        let hostile = github(&sample::hostile(), Verdict::Leaking);
        assert_eq!(
            commands(&hostile).len(),
            commands(&usual).len() + 1,
            "one problem more\n{hostile}"
        );
        assert!(!hostile.contains(['\x1b', '\x07', '\r']));
    }

    #[test]
    fn what_github_reads_is_escaped() {
        assert_eq!(data("50%\n"), "50%25\u{fffd}");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
        assert_eq!(inert("  ::error::x"), "|   ::error::x");
        assert_eq!(inert("a ##[error]b"), "a # #[error]b");
    }
}
