//! What is said about a process, why, and how near its limits are.

use ratatui::text::{Line, Span};

use super::{holders, lines};
use crate::model::{
    finding::{Evidence, Finding},
    snapshot::{ProcessRow, Snapshot},
};
use crate::present::{
    findings, summary,
    top::theme::{Role, Theme},
    words,
};

/// From this share of a limit on it is to be looked at, and from the second one to be acted on.
const WARNING_SHARE: f64 = 0.7;
const BAD_SHARE: f64 = 0.9;

/// The findings about a process, worst first, and its limits; nothing where there is nothing to say.
pub(super) fn lines(
    theme: Theme,
    snapshot: &Snapshot,
    process: &ProcessRow,
    width: usize,
) -> Vec<Line<'static>> {
    let mut text = Vec::new();
    for finding in snapshot.findings_about(process.id) {
        text.extend(one(theme, finding, width));
    }
    if !process.limits.is_empty() {
        text.push(lines::heading(theme, "Limits"));
        text.extend(lines::flow(limits(theme, process), width));
    }
    text
}

fn one(theme: Theme, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let (sign, role) = theme.verdict(finding.verdict);
    let title = format!("{sign} {}", finding.verdict.name());
    let mut text = vec![Line::from(vec![
        Span::styled("Finding ", theme.style(Role::Title)),
        Span::styled(title, theme.style(role)),
        Span::styled(
            if finding.exhausting { " exhausting" } else { "" },
            theme.style(Role::Bad),
        ),
    ])];
    let sentence = theme.text(&findings::sentence(finding)).into_owned();
    text.extend(lines::prose(Line::from(sentence), width));
    text.extend(lines::flow(numbers(theme, finding), width));
    for evidence in &finding.evidence {
        text.extend(lines::prose(reason(theme, evidence), width));
    }
    text.extend(holders::lines(theme, finding, width));
    text
}

/// What is not known is left out.
fn numbers(theme: Theme, finding: &Finding) -> Vec<Line<'static>> {
    let rate = finding.rate_per_second.as_ref();
    let numbers = [
        ("rate", rate.map(|rate| words::rate(finding.resource, rate))),
        (
            "limit",
            finding
                .limit
                .as_ref()
                .map(|limit| words::limit(finding.resource, limit)),
        ),
        ("looks like", finding.class.map(|class| class.name().to_owned())),
        ("since", finding.since_unix_ms.map(summary::time)),
    ];
    let known = numbers
        .into_iter()
        .filter_map(|(label, value)| Some((label, value?)));
    known
        .map(|(label, value)| lines::entry(theme, label, theme.text(&value)))
        .collect()
}

/// For the verdict or against it, and how strongly.
fn reason(theme: Theme, evidence: &Evidence) -> Line<'static> {
    let role = if evidence.log_odds > 0.0 {
        Role::Warning
    } else {
        Role::Good
    };
    Line::from(vec![
        Span::styled(findings::weight(evidence), theme.style(role)),
        Span::styled(
            format!(" {}: ", theme.text(&evidence.name)),
            theme.style(Role::Quiet),
        ),
        Span::raw(theme.text(&evidence.text).into_owned()),
    ])
}

fn limits(theme: Theme, process: &ProcessRow) -> impl Iterator<Item = Line<'static>> {
    process.limits.iter().map(move |used| {
        let share = words::share(&used.limit);
        let role = match share {
            _ if share >= BAD_SHARE => Role::Bad,
            _ if share >= WARNING_SHARE => Role::Warning,
            _ => Role::Plain,
        };
        let text = words::limit(used.resource, &used.limit);
        Line::from(vec![
            Span::styled(format!("{} ", used.resource.name()), theme.style(Role::Quiet)),
            Span::styled(theme.text(&text).into_owned(), theme.style(role)),
        ])
    })
}
