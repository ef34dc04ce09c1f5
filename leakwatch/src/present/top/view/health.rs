//! leakwatch itself: what it sees, what it misses, what it costs.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::lines;
use crate::model::health::{Health, MapHealth, ProbeHealth, ProbeState};
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
        let good = format!("{} health ok", theme.tick(true));
        text.push(Line::from(Span::styled(good, theme.style(Role::Good))));
    }
    let width = usize::from(area.width.saturating_sub(2));
    text.extend(cost(theme, health, width));
    text.extend(feed(theme, health, width));
    text.push(lines::heading(theme, "Probes"));
    text.push(quiet(
        theme,
        format!("  {:<24}{:>10}{:>8}  HOOK", "NAME", "RUNS", "NS/RUN"),
    ));
    text.extend(health.probes.iter().flat_map(|row| probe(theme, row)));
    text.push(lines::heading(theme, "Kernel maps"));
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

fn cost(theme: Theme, health: &Health, width: usize) -> Vec<Line<'static>> {
    let agent = &health.agent;
    let entry = |label, text: String| lines::entry(theme, label, text);
    let mut text = vec![lines::heading(theme, "Agent")];
    text.extend(lines::flow(
        [
            entry("cpu", format!("{:.2}s", agent.cpu_seconds)),
            entry("rss", units::bytes(agent.rss_bytes)),
            entry("kernel maps", units::bytes(agent.kernel_map_bytes)),
            entry("tick", format!("{:.1}ms", agent.tick_seconds * 1e3)),
            entry("ticks", units::count(agent.ticks)),
        ],
        width,
    ));
    let levels = &health.levels;
    let rss = match levels.rss_error_bound_bytes {
        0 => "exact".to_owned(),
        bytes => format!("off by {} at most", units::bytes(bytes)),
    };
    let fds = match levels.fds_truncated {
        0 => "exact".to_owned(),
        processes => format!("lower bound for {processes}"),
    };
    text.push(lines::heading(theme, "Levels"));
    text.extend(lines::flow([entry("rss", rss), entry("fds", fds)], width));
    text
}

fn feed(theme: Theme, health: &Health, width: usize) -> Vec<Line<'static>> {
    let feed = &health.feed;
    let mut text = vec![lines::heading(theme, "Feed")];
    let (lives, sites) = (&health.lifecycle, &health.call_sites);
    for group in [
        &[
            ("records", feed.records),
            ("dropped", feed.dropped),
            ("deaths lost", feed.deaths_dropped),
            ("shed", feed.shed),
        ][..],
        &[
            ("stacks", feed.stacks_taken),
            ("shed", feed.stacks_shed),
            ("dropped", feed.stacks_dropped),
            ("failed", feed.stacks_failed),
        ],
        &[
            ("unwound", sites.complete),
            ("cut", sites.cut),
            ("lost", sites.lost),
            ("gone", sites.gone),
        ],
        &[
            ("forked", lives.forked),
            ("execed", lives.execed),
            ("exited", lives.exited),
        ],
        &[
            ("undecodable", feed.undecodable),
            ("32-bit calls", feed.compat_skipped),
            ("read faults", feed.read_faults),
            ("late closes", feed.late_closes),
            ("unknown closes", feed.unknown_closes),
        ],
    ] {
        let entries = group
            .iter()
            .map(|(label, count)| lines::entry(theme, label, units::count(*count)));
        text.extend(lines::flow(entries, width));
    }
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
