//! leakwatch itself: what it sees, what it misses, what it costs.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::lines;
use crate::model::health::{Health, LevelsSource, MapHealth, ProbeHealth, ProbeState};
use crate::present::{
    summary,
    top::{
        app::App,
        theme::{Role, Theme},
    },
    units,
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) -> usize {
    let Some(snapshot) = app.snapshot() else { return 0 };
    let (theme, health) = (app.theme, &snapshot.health);
    let mut text = Vec::new();
    for problem in summary::problems(health) {
        let problem = format!("{} {}", theme.tick(false), theme.text(&problem));
        text.push(Line::from(Span::styled(problem, theme.style(Role::Bad))));
    }
    if text.is_empty() {
        let good = format!("{} sees everything", theme.tick(true));
        text.push(Line::from(Span::styled(good, theme.style(Role::Good))));
    }
    text.extend(cost(theme, health));
    text.extend(feed(theme, health));
    text.extend(lines::heading(theme, "Probes"));
    text.push(quiet(
        theme,
        format!("  {:<24}{:>10}{:>8}  HOOK", "NAME", "RUNS", "NS/RUN"),
    ));
    text.extend(health.probes.iter().flat_map(|row| probe(theme, row)));
    text.extend(lines::heading(theme, "Kernel maps"));
    text.push(quiet(
        theme,
        format!(
            "  {:<24}{:>10}{:>8}{:>8}{:>10}",
            "NAME", "ENTRIES", "OF", "FULL", "BYTES"
        ),
    ));
    text.extend(health.maps.iter().map(|row| map(theme, row)));
    lines::page(frame, area, theme, "leakwatch itself", text, app.scroll)
}

fn cost<'a>(theme: Theme, health: &Health) -> Vec<Line<'a>> {
    let agent = &health.agent;
    let mut text = Vec::from(lines::heading(theme, "Agent"));
    text.push(lines::entry(
        theme,
        "processor",
        format!("{:.2}s since it started", agent.cpu_seconds),
    ));
    text.push(lines::entry(theme, "memory", units::bytes(agent.rss_bytes)));
    text.push(lines::entry(
        theme,
        "kernel maps",
        units::bytes(agent.kernel_map_bytes),
    ));
    let tick = format!(
        "{:.1}ms, {} so far",
        agent.tick_seconds * 1e3,
        units::count(agent.ticks)
    );
    text.push(lines::entry(theme, "tick", tick));
    let source = match health.levels.source {
        LevelsSource::Iterator => "task iterator",
        LevelsSource::Procfs => "/proc, the slow fallback",
    };
    text.push(lines::entry(theme, "levels from", source));
    let bound = match health.levels.rss_error_bound_bytes {
        0 => "exact".to_owned(),
        bytes => format!("off by {} at most", units::bytes(bytes)),
    };
    text.push(lines::entry(theme, "rss", bound));
    let truncated = format!(
        "{} processes have more than is counted",
        health.levels.fds_truncated
    );
    text.push(lines::entry(theme, "fds", truncated));
    text
}

fn feed<'a>(theme: Theme, health: &Health) -> Vec<Line<'a>> {
    let feed = &health.feed;
    let row = |label: &str, names: [(&str, u64); 3]| {
        let text: Vec<_> = names
            .iter()
            .map(|(name, count)| format!("{:>6} {name:<15}", units::count(*count)))
            .collect();
        lines::entry(theme, label, text.concat().trim_end())
    };
    let mut text = Vec::from(lines::heading(theme, "Feed"));
    text.push(row(
        "records",
        [
            ("received", feed.records),
            ("dropped", feed.dropped),
            ("shed", feed.shed),
        ],
    ));
    let stacks = [
        ("taken", feed.stacks_taken),
        ("shed", feed.stacks_shed),
        ("failed", feed.stacks_failed),
    ];
    text.push(row("stacks", stacks));
    let unread = [
        ("undecodable", feed.undecodable),
        ("32-bit calls", feed.compat_skipped),
        ("read faults", feed.read_faults),
    ];
    text.push(row("not read", unread));
    text
}

fn probe<'a>(theme: Theme, probe: &ProbeHealth) -> Vec<Line<'a>> {
    let (sign, role) = match probe.state {
        ProbeState::Attached => (theme.tick(true), Role::Good),
        ProbeState::Fallback => ('~', Role::Warning),
        ProbeState::Failed => (theme.tick(false), Role::Bad),
    };
    let per_run = match probe.run_time_ns.checked_div(probe.runs) {
        Some(nanoseconds) => nanoseconds.to_string(),
        None => "-".to_owned(),
    };
    let mut text = vec![Line::from(vec![
        Span::styled(format!("{sign} "), theme.style(role)),
        Span::raw(format!(
            "{:<24}{:>10}{per_run:>8}  {}",
            theme.text(&probe.name),
            units::count(probe.runs),
            theme.text(&probe.hook)
        )),
    ])];
    if probe.state != ProbeState::Attached {
        let state = if probe.state == ProbeState::Failed {
            "failed"
        } else {
            "fallback"
        };
        let reason = probe.reason.as_deref().unwrap_or("reason unknown");
        text.push(Line::from(Span::styled(
            format!("    {state}: {}", theme.text(reason)),
            theme.style(role),
        )));
    }
    text
}

fn map<'a>(theme: Theme, map: &MapHealth) -> Line<'a> {
    let role = if map.full > 0 { Role::Bad } else { Role::Plain };
    let text = format!(
        "  {:<24}{:>10}{:>8}{:>8}{:>10}",
        theme.text(&map.name),
        map.entries.map_or_else(|| "-".to_owned(), units::count),
        units::count(map.max_entries),
        units::count(map.full),
        units::bytes(map.bytes)
    );
    Line::from(Span::styled(text, theme.style(role)))
}

fn quiet<'a>(theme: Theme, text: String) -> Line<'a> {
    Line::from(Span::styled(text, theme.style(Role::Quiet)))
}
