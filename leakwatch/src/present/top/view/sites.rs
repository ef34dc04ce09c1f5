//! Where a process took what it holds: by function, then stack by stack.

use std::cmp::Reverse;

use ratatui::text::{Line, Span};

use super::lines;
use crate::model::snapshot::{FrameRow, ProcessRow, SiteRow};
use crate::present::{
    top::theme::{Role, Theme},
    units,
};

/// Examples shown of each function.
const MAX_EXAMPLES: usize = 4;

/// Sites that take the same kind of thing in the same function.
struct Group<'a> {
    kind: &'a str,
    function: Option<&'a str>,
    /// With most still held first, as in the row.
    sites: Vec<&'a SiteRow>,
}

/// The lines below the heading.
pub(super) fn lines(theme: Theme, process: &ProcessRow, width: usize) -> Vec<Line<'static>> {
    let mut text = vec![lines::heading(theme, "Call sites, most still held first")];
    if process.sites.is_empty() {
        text.push(Line::from("  none since leakwatch attached"));
        return text;
    }
    let inner = width.saturating_sub(lines::INDENT.len());
    for group in groups(&process.sites) {
        text.extend(lines::wrapped(group.title(theme), width));
        text.extend(deeper(lines::flow(group.entries(theme, process), inner)));
        text.extend(deeper(group.examples(theme, inner)));
        for (number, site) in group.sites.iter().enumerate() {
            if group.sites.len() > 1 {
                let of = format!("stack {} of {}", number + 1, group.sites.len());
                let mut entries = vec![Line::from(quiet(theme, &of))];
                entries.extend(held(theme, site));
                text.extend(deeper(lines::flow(entries, inner)));
            }
            text.extend(deeper(stack(theme, site, inner)));
        }
    }
    text
}

/// One step further in.
fn deeper(mut lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    for line in &mut lines {
        line.spans.insert(0, Span::raw(lines::INDENT));
    }
    lines
}

/// In the order of their first sites.
fn groups(sites: &[SiteRow]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for site in sites {
        let function = site.function.as_deref();
        match groups
            .iter_mut()
            .find(|group| group.kind == site.kind && group.function == function)
        {
            Some(group) => group.sites.push(site),
            None => groups.push(Group {
                kind: &site.kind,
                function,
                sites: vec![site],
            }),
        }
    }
    groups.sort_by_key(|group| Reverse((group.live(), group.live_bytes())));
    groups
}

impl Group<'_> {
    fn live(&self) -> Option<u64> {
        self.sites.iter().map(|site| site.live).sum()
    }

    fn live_bytes(&self) -> Option<u64> {
        self.sites.iter().map(|site| site.live_bytes).sum()
    }

    fn title(&self, theme: Theme) -> Line<'static> {
        let function = self.function.map_or_else(
            || "no function known".to_owned(),
            |function| theme.text(function).into_owned(),
        );
        Line::from(vec![
            Span::styled(theme.text(self.kind).into_owned(), theme.style(Role::Warning)),
            Span::raw(" "),
            Span::styled(function, theme.style(Role::Title)),
        ])
    }

    /// What is not known or does not apply is left out.
    fn entries(&self, theme: Theme, process: &ProcessRow) -> Vec<Line<'static>> {
        let born = self.sites.iter().map(|site| site.born).sum();
        let bytes: u64 = self.sites.iter().map(|site| site.bytes).sum();
        let oldest = self.sites.iter().filter_map(|site| site.oldest_ns).max();
        // Lifetimes of several sites do not add up.
        let only = match self.sites[..] {
            [site] => Some(site),
            _ => None,
        };
        let entries = [
            ("live", self.live().map(units::count)),
            (held_label(self.kind), self.live_bytes().map(units::bytes)),
            ("share", self.share(process)),
            ("born", Some(units::count(born))),
            ("taken", (bytes > 0).then(|| units::bytes(bytes))),
            ("oldest", oldest.map(units::duration)),
            (
                "mean life",
                only.and_then(|site| site.mean_lifetime_ns).map(units::duration),
            ),
            (
                "95% within",
                only.and_then(|site| site.p95_lifetime_ns).map(units::duration),
            ),
        ];
        let known = entries
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)));
        known
            .map(|(label, value)| lines::entry(theme, label, value))
            .collect()
    }

    /// Of all that the process holds of that sort, attributed or not.
    fn share(&self, process: &ProcessRow) -> Option<String> {
        let (part, whole) = match self.kind {
            "thread" => (self.live()?, process.threads.saturating_sub(1).into()),
            "first_touch" => (self.live_bytes()?, process.rss_anon_bytes + process.swap_bytes),
            "mapping" => (self.live_bytes()?, process.mapped_anon_bytes?),
            _ => (self.live()?, process.fds.into()),
        };
        // The parts are read a moment after the whole.
        (whole > 0).then(|| format!("{:.0}%", (part as f64 / whole as f64 * 100.0).min(100.0)))
    }

    fn examples(&self, theme: Theme, width: usize) -> Vec<Line<'static>> {
        let examples = self.sites.iter().flat_map(|site| &site.examples);
        let examples: Vec<_> = examples.take(MAX_EXAMPLES).map(|text| theme.text(text)).collect();
        if examples.is_empty() {
            return Vec::new();
        }
        lines::wrapped(lines::entry(theme, "such as", examples.join(", ")), width)
    }
}

fn held(theme: Theme, site: &SiteRow) -> Option<Line<'static>> {
    let count = site
        .live
        .map(|live| lines::entry(theme, "live", units::count(live)));
    count.or_else(|| {
        site.live_bytes
            .map(|bytes| lines::entry(theme, held_label(&site.kind), units::bytes(bytes)))
    })
}

/// Who touches memory first need not be who keeps it.
fn held_label(kind: &str) -> &'static str {
    if kind == "first_touch" {
        "grew here"
    } else {
        "held"
    }
}

/// Innermost first, each with its place.
fn stack(theme: Theme, site: &SiteRow, width: usize) -> Vec<Line<'static>> {
    let arrow = theme.pick('↳', '>');
    let mut text: Vec<_> = site
        .frames
        .iter()
        .flat_map(|frame| lines::wrapped(frame_line(theme, frame, arrow), width))
        .collect();
    let missing = match &site.cut {
        _ if site.frames.is_empty() => "no stack was taken".to_owned(),
        Some(why) => format!("outer frames are missing: {why}"),
        None => return text,
    };
    text.extend(lines::wrapped(Line::from(quiet(theme, &missing)), width));
    text
}

fn frame_line(theme: Theme, frame: &FrameRow, arrow: char) -> Line<'static> {
    let name = match &frame.function {
        Some(function) => Span::raw(theme.text(function).into_owned()),
        None => quiet(theme, "?"),
    };
    let mut line = Line::from(vec![quiet(theme, &format!("{arrow} ")), name]);
    let module = frame.module.rsplit('/').next().unwrap_or(&frame.module);
    let place = match (&frame.function, &frame.file, frame.line) {
        (Some(_), Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(_), Some(file), None) => file.clone(),
        (Some(_), None, _) => module.to_owned(),
        (None, _, _) => {
            let reason = frame.reason.as_deref().unwrap_or("name not looked up yet");
            format!("{module}+{:#x} ({reason})", frame.address)
        }
    };
    line.push_span(quiet(theme, &format!("  {place}")));
    if frame.inlined {
        line.push_span(quiet(theme, " inlined"));
    }
    line
}

fn quiet(theme: Theme, text: &str) -> Span<'static> {
    Span::styled(theme.text(text).into_owned(), theme.style(Role::Quiet))
}
