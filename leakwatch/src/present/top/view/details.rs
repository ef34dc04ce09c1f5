//! Everything known about one process.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{lines, spark::spark};
use crate::model::snapshot::{ProcessRow, SiteRow, Snapshot};
use crate::present::{
    fields::FieldId,
    top::{
        app::App,
        history::Reading,
        theme::{Role, Theme},
    },
    units,
};

/// Columns of `label` in [`lines::entry`], and the border.
const BESIDE_SPARK: usize = 15;
/// A return address, `0x` and a blank.
const ADDRESS_WIDTH: usize = 19;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) -> usize {
    let (Some(snapshot), Some(process)) = (app.snapshot(), app.process()) else {
        return 0;
    };
    let width = usize::from(area.width.saturating_sub(2));
    let mut text = identity(app.theme, snapshot, process);
    text.extend(resources(app, snapshot, process, width + 2));
    text.extend(sites(app.theme, process, width));
    let title = format!("{} {}", process.id.pid, app.theme.text(&process.name));
    lines::page(frame, area, app.theme, &title, text, app.scroll)
}

fn identity<'a>(theme: Theme, snapshot: &Snapshot, process: &ProcessRow) -> Vec<Line<'a>> {
    let (sign, role) = theme.state(process.state);
    let age = snapshot.uptime_ns.saturating_sub(process.id.start_time_ns);
    let known = |text: &Option<String>| theme.text(text.as_deref().unwrap_or("-")).into_owned();
    let mut state = lines::entry(theme, "state", "");
    state.push_span(Span::styled(
        format!("{sign} {}", FieldId::State.field().cell(process)),
        theme.style(role),
    ));
    vec![
        state,
        lines::entry(theme, "command", known(&process.cmdline)),
        lines::entry(theme, "executable", known(&process.exe)),
        lines::entry(theme, "user", theme.text(&process.user).into_owned()),
        lines::entry(theme, "runtime", known(&process.runtime)),
        lines::entry(theme, "container", known(&process.container_id)),
        lines::entry(theme, "parent", process.parent_pid.to_string()),
        lines::entry(theme, "age", units::duration(age)),
    ]
}

fn resources<'a>(app: &App, snapshot: &Snapshot, process: &ProcessRow, width: usize) -> Vec<Line<'a>> {
    let theme = app.theme;
    let cell = |id: FieldId| id.field().cell(process).into_owned();
    let readings: Vec<Reading> = app.history.until(process.id, snapshot.time_unix_ms).collect();
    let trend = |value: fn(&Reading) -> f64| {
        let room = width.saturating_sub(BESIDE_SPARK).min(readings.len());
        let values: Vec<f64> = readings[readings.len() - room..].iter().map(value).collect();
        lines::entry(theme, "history", spark(&values, theme.levels()))
    };
    let mut text = Vec::new();

    text.extend(lines::heading(theme, format!("Memory {}", cell(FieldId::Growth))));
    for pair in [
        [FieldId::Rss, FieldId::Swap],
        [FieldId::RssFile, FieldId::RssShmem],
        [FieldId::MappedAnon, FieldId::Maps],
    ] {
        let [left, right] = pair.map(|id| (id.field().title.to_lowercase(), cell(id)));
        text.push(lines::entry(
            theme,
            &left.0,
            format!("{:<10} {:<9} {}", left.1, right.0, right.1),
        ));
    }
    text.push(trend(|reading| reading.memory as f64));

    text.extend(lines::heading(
        theme,
        format!("File descriptors {}", cell(FieldId::FdGrowth)),
    ));
    text.push(lines::entry(theme, "open", cell(FieldId::Fds)));
    text.push(lines::entry(
        theme,
        "unattributed",
        cell(FieldId::UnattributedFds),
    ));
    text.push(lines::entry(theme, "kinds", kinds(theme, process)));
    text.push(trend(|reading| reading.fds.into()));

    text.extend(lines::heading(
        theme,
        format!("Threads {}", cell(FieldId::ThreadGrowth)),
    ));
    text.push(lines::entry(theme, "live", cell(FieldId::Threads)));
    text.push(lines::entry(
        theme,
        "unattributed",
        cell(FieldId::UnattributedThreads),
    ));
    text.push(trend(|reading| reading.threads.into()));
    text
}

/// Most first.
fn kinds(theme: Theme, process: &ProcessRow) -> String {
    let Some(kinds) = &process.fd_kinds else {
        return "being read".to_owned();
    };
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = kinds
        .iter()
        .map(|(kind, count)| format!("{} {count}", theme.text(kind)));
    named.collect::<Vec<_>>().join(", ")
}

fn sites<'a>(theme: Theme, process: &ProcessRow, width: usize) -> Vec<Line<'a>> {
    let mut text = Vec::from(lines::heading(theme, "Sites with most that is still held"));
    if process.sites.is_empty() {
        text.push(Line::from("none since leakwatch attached"));
        return text;
    }
    text.push(Line::from(Span::styled(
        format!(
            "{:<10}{:>8}{:>8}{:>10}{:>10}",
            "KIND", "BORN", "LIVE", "BYTES", "LIFETIME"
        ),
        theme.style(Role::Quiet),
    )));
    for site in &process.sites {
        text.push(Line::from(site_line(theme, site)));
        for addresses in site
            .stack
            .chunks((width.saturating_sub(2) / ADDRESS_WIDTH).max(1))
        {
            let addresses: Vec<_> = addresses
                .iter()
                .map(|address| format!("{address:#018x}"))
                .collect();
            let stack = format!("  {}", addresses.join(" "));
            text.push(Line::from(Span::styled(stack, theme.style(Role::Quiet))));
        }
    }
    text
}

fn site_line(theme: Theme, site: &SiteRow) -> String {
    format!(
        "{:<10}{:>8}{:>8}{:>10}{:>10}",
        theme.text(&site.kind),
        units::count(site.born),
        site.live.map_or_else(|| "-".to_owned(), units::count),
        if site.bytes == 0 {
            "-".to_owned()
        } else {
            units::bytes(site.bytes)
        },
        site.mean_lifetime_ns
            .map_or_else(|| "-".to_owned(), units::duration),
    )
}
