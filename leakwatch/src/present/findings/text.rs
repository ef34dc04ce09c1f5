//! Findings for people: a sentence, why, and where.

use std::io;

use leakwatch_common::kind::Kind;

use super::{
    Document, NearLimit, holder, limits,
    sentence::{location, sentence},
    style::{Role, Style, amount, seconds},
};
use crate::model::{
    finding::{Evidence, Finding, FindingSite, Resource, Verdict},
    snapshot::FrameRow,
};

/// Frames of a stack that are shown.
const MOST_FRAMES: usize = 24;
/// Call stacks of a finding that are shown.
const MOST_SITES: usize = 3;

pub(super) fn write(
    document: &Document,
    threshold: Verdict,
    style: Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for finding in &document.findings {
        let (sign, role) = style.verdict(finding.verdict);
        let claim = style.paint(role, &format!("{sign} {}", finding.verdict.name()));
        writeln!(out, "{claim}  {}", style.text(&sentence(finding)))?;
        for line in details(finding) {
            writeln!(out, "{}", style.text(&line))?;
        }
        writeln!(out)?;
    }
    let shown = |near: &&NearLimit| near.is_critical() || document.is_instant();
    let limits: Vec<_> = document.limits.iter().filter(shown).collect();
    if !limits.is_empty() {
        let critical = std::iter::once(false).chain(limits.iter().map(|near| near.is_critical()));
        for (line, critical) in limits::table(limits.iter().copied()).iter().zip(critical) {
            let line = style.text(line);
            let line = if critical {
                style.paint(Role::Bad, &line)
            } else {
                line.into_owned()
            };
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
    }
    for problem in &document.problems {
        let word = style.paint(Role::Warning, "!");
        writeln!(out, "{word} {}", style.text(problem))?;
    }
    let role = match document.failures(threshold).count() {
        0 if document.complete => Role::Good,
        0 => Role::Warning,
        _ => Role::Bad,
    };
    if document.is_instant() {
        writeln!(out, "{}", limits::summary(&document.limits))
    } else {
        writeln!(out, "{}", style.paint(role, &document.summary(threshold)))
    }
}

/// Why and where, a line each; names in them are not cleaned.
pub fn details(finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = "why";
    for evidence in &finding.evidence {
        lines.push(format!(
            "  {section:<5}  {:<16}  {}: {}",
            weight(evidence),
            evidence.name,
            evidence.text
        ));
        section = "";
    }
    let mut section = "holds";
    for holder in &finding.holders {
        lines.push(format!("  {section:<5}  {}", holder::line(holder)));
        lines.extend(stack(&holder.frames).map(|line| format!("  {:<5}    {line}", "")));
        section = "";
    }
    let mut section = "where";
    for site in finding.sites.iter().take(MOST_SITES) {
        lines.push(format!("  {section:<5}  {}", holds(site, finding)));
        lines.extend(stack(&site.frames).map(|line| format!("  {:<5}    {line}", "")));
        section = "";
    }
    if finding.sites.len() > MOST_SITES {
        let more = finding.sites.len() - MOST_SITES;
        lines.push(format!("  {section:<5}  and {more} more call stacks"));
    }
    lines
}

/// Log-odds in words: 3 make twenty to one, 1.5 four to one.
pub fn weight(evidence: &Evidence) -> &'static str {
    match evidence.log_odds {
        odds if odds >= 3.0 => "strongly for",
        odds if odds >= 1.5 => "for",
        odds if odds >= 0.25 => "slightly for",
        odds if odds > -0.25 => "neutral",
        odds if odds > -1.5 => "slightly against",
        odds if odds > -3.0 => "against",
        _ => "strongly against",
    }
}

fn holds(site: &FindingSite, finding: &Finding) -> String {
    // Address space, of which any part may be memory.
    let is_mapped = site.kind == Kind::Mapping.name();
    let what = if is_mapped { "mapped" } else { "held" };
    let mut parts = vec![format!("{:.0} % of what is {what}", 100.0 * site.share)];
    parts.extend(site.live.map(|live| format!("{live} held")));
    parts.extend(site.bytes.map(|bytes| amount(Resource::Memory, bytes)));
    parts.extend(
        site.oldest_seconds
            .map(|age| format!("the oldest for {}", seconds(age))),
    );
    if site.kind != finding.kind {
        parts.push(site.kind.clone());
    }
    parts.join(", ")
}

fn stack(frames: &[FrameRow]) -> impl Iterator<Item = String> {
    let more = frames.len().saturating_sub(MOST_FRAMES);
    let frames = frames.iter().take(MOST_FRAMES).map(frame);
    frames.chain((more > 0).then(|| format!("and {more} more")))
}

fn frame(frame: &FrameRow) -> String {
    let inlined = if frame.inlined { " (inlined)" } else { "" };
    match (&frame.function, &frame.file, frame.line) {
        (Some(name), Some(file), Some(line)) => format!("{name}{inlined} {file}:{line}"),
        (Some(name), _, _) => format!(
            "{name}{inlined} ({})",
            frame.module.rsplit('/').next().unwrap_or_default()
        ),
        (None, _, _) => location(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Style, Verdict, write};
    use crate::present::findings::sample;

    fn text(document: &Document, style: Style) -> String {
        let mut out = Vec::new();
        write(document, Verdict::Leaking, style, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("text is UTF-8")
    }

    #[test]
    fn findings_with_reasons_and_places() {
        insta::assert_snapshot!("text", text(&sample::document(), Style::default()));
    }

    #[test]
    fn nothing_found_is_not_nothing_there() {
        insta::assert_snapshot!("text_incomplete", text(&sample::incomplete(), Style::default()));
        let mut clean = sample::incomplete();
        clean.complete = true;
        clean.problems.clear();
        clean.targets.remove(0);
        assert_eq!(
            text(&clean, Style::default()),
            "nothing leaks: 1 process observed for 1m00s\n"
        );
    }

    #[test]
    fn where_nothing_was_observed_no_limit_is_said_to_be_far() {
        let mut document = sample::incomplete();
        document.targets.clear();
        document.observed_seconds = 0.0;
        let said = text(&document, Style::default());
        assert!(said.starts_with("! ") && !said.contains("limit"), "{said}");
    }

    #[test]
    fn hostile_names_reach_no_terminal_and_make_no_line() {
        let lines = text(&sample::document(), Style::default()).lines().count();
        let hostile = text(&sample::hostile(), Style::default());
        assert!(!hostile.contains(['\x1b', '\x07', '\r', '\u{202e}']), "{hostile}");
        assert_eq!(hostile.lines().count(), lines + 1, "and one problem\n{hostile}");
        let ascii = Style {
            ascii: true,
            ..Style::default()
        };
        assert!(text(&sample::hostile(), ascii).is_ascii());
    }

    #[test]
    fn colour_is_only_added() {
        let color = Style {
            color: true,
            ascii: false,
        };
        let painted = text(&sample::document(), color);
        let mut plain = painted.clone();
        for code in ["\x1b[32m", "\x1b[1;33m", "\x1b[1;31m", "\x1b[2m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_ne!(painted, plain);
        assert_eq!(plain, text(&sample::document(), Style::default()));
    }
}
