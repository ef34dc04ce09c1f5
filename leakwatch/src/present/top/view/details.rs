//! Everything known about one process.

use std::sync::Arc;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{census, findings, lines, sites, spark::spark};
use crate::model::snapshot::{ProcessRow, Snapshot};
use crate::present::{
    fields::FieldId,
    top::{
        app::App,
        history::Reading,
        theme::{Role, Theme},
    },
    units,
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) -> usize {
    let (Some(snapshot), Some(process)) = (app.snapshot(), app.process()) else {
        return 0;
    };
    let width = usize::from(area.width.saturating_sub(2));
    let mut text = findings::lines(app.theme, snapshot, process, width);
    text.extend(identity(app.theme, snapshot, process, width));
    text.extend(resources(app, snapshot, process, width));
    text.extend(census::lines(app.theme, process, width));
    text.extend(sites::lines(app.theme, process, width));
    let title = format!("{} {}", process.id.pid, app.theme.text(&process.name));
    lines::page(frame, area, app.theme, &title, text, app.scroll)
}

fn identity(theme: Theme, snapshot: &Snapshot, process: &ProcessRow, width: usize) -> Vec<Line<'static>> {
    let (sign, role) = theme.state(process.state);
    let state = format!("{sign} {}", FieldId::State.field().cell(process));
    let age = snapshot.uptime_ns.saturating_sub(process.id.start_time_ns);
    let known = |label, text: &Option<Arc<str>>| {
        let text = theme.text(text.as_deref().unwrap_or("-")).into_owned();
        lines::entry(theme, label, text)
    };
    let mut text = vec![lines::heading(theme, "Process")];
    text.extend(lines::flow(
        [
            Line::from(Span::styled(state, theme.style(role))),
            lines::entry(theme, "age", units::duration(age)),
            lines::entry(theme, "user", theme.text(&process.user)),
            lines::entry(theme, "runtime", runtime(theme, process)),
            known("malloc", &process.allocator),
            lines::entry(theme, "parent", process.parent_pid.to_string()),
            known("container", &process.container_id),
        ],
        width,
    ));
    for entry in [known("exe", &process.exe), known("command", &process.cmdline)] {
        text.extend(lines::wrapped(entry, width));
    }
    text
}

/// With its whole version.
fn runtime(theme: Theme, process: &ProcessRow) -> String {
    let words = [&process.runtime, &process.runtime_version].into_iter().flatten();
    let words: Vec<&str> = words.map(AsRef::as_ref).collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    theme.text(&words.join(" ")).into_owned()
}

fn resources(app: &App, snapshot: &Snapshot, process: &ProcessRow, width: usize) -> Vec<Line<'static>> {
    let theme = app.theme;
    let entry = |label: &str, id: FieldId| lines::entry(theme, label, id.field().cell(process));
    let heading = |title: &str, growth: FieldId| {
        lines::heading(theme, format!("{title} {}", growth.field().cell(process)))
    };
    let readings: Vec<Reading> = app.history.until(process.id, snapshot.time_unix_ms).collect();

    let mut text = vec![heading("Memory", FieldId::Growth)];
    let memory = [
        entry("anonymous", FieldId::Rss),
        entry("swapped", FieldId::Swap),
        entry("file", FieldId::RssFile),
        entry("shared", FieldId::RssShmem),
        entry("mapped", FieldId::MappedAnon),
        entry("mappings", FieldId::Maps),
    ];
    text.extend(lines::flow(memory, width));
    text.push(trend(
        theme,
        &readings,
        |reading| reading.memory,
        units::bytes,
        width,
    ));

    text.push(heading("File descriptors", FieldId::FdGrowth));
    let open = [
        entry("open", FieldId::Fds),
        entry("unattributed", FieldId::UnattributedFds),
    ];
    text.extend(lines::flow(open, width));
    text.extend(lines::flow(kinds(theme, process), width));
    text.push(trend(
        theme,
        &readings,
        |reading| reading.fds.into(),
        units::count,
        width,
    ));

    text.push(heading("Threads", FieldId::ThreadGrowth));
    let live = [
        entry("live", FieldId::Threads),
        entry("unattributed", FieldId::UnattributedThreads),
    ];
    text.extend(lines::flow(live, width));
    text.push(trend(
        theme,
        &readings,
        |reading| reading.threads.into(),
        units::count,
        width,
    ));
    text
}

/// The latest readings as bars, with the ends of their scale.
fn trend(
    theme: Theme,
    readings: &[Reading],
    value: fn(&Reading) -> u64,
    shown: fn(u64) -> String,
    width: usize,
) -> Line<'static> {
    let (Some(low), Some(high)) = (readings.iter().map(value).min(), readings.iter().map(value).max()) else {
        return Line::default();
    };
    let scale = format!(" {} to {}", shown(low), shown(high));
    let room = width.saturating_sub(lines::INDENT.len() + scale.len());
    let latest = &readings[readings.len().saturating_sub(room)..];
    let values: Vec<f64> = latest.iter().map(|reading| value(reading) as f64).collect();
    Line::from(vec![
        Span::raw(lines::INDENT),
        Span::raw(spark(&values, theme.levels())),
        Span::styled(scale, theme.style(Role::Quiet)),
    ])
}

/// Most first; kinds of which there are none are left out.
fn kinds(theme: Theme, process: &ProcessRow) -> Vec<Line<'static>> {
    let Some(kinds) = &process.fd_kinds else {
        return vec![lines::entry(theme, "kinds", "not read yet")];
    };
    let mut kinds: Vec<_> = kinds.iter().filter(|(_, count)| **count > 0).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    kinds
        .iter()
        .map(|(kind, count)| lines::entry(theme, &theme.text(kind), units::count((**count).into())))
        .collect()
}
