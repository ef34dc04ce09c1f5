//! Two lines: where and when, and whether leakwatch can be believed.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};

use crate::model::snapshot::{Snapshot, State};
use crate::present::{
    fields::state_name,
    summary,
    top::{
        app::App,
        theme::{Role, Theme},
    },
    units,
};

/// From this width on the date stands beside the time of day.
const DATED_WIDTH: u16 = 64;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let Some(snapshot) = app.snapshot() else {
        frame.render_widget(Line::from("waiting for the first readings"), first);
        return;
    };
    frame.render_widget(place(app, snapshot), first);
    frame.render_widget(trust(app.theme, snapshot), second);
}

/// The most important comes first: a narrow screen cuts off the end.
fn place<'a>(app: &App, snapshot: &Snapshot) -> Line<'a> {
    let theme = app.theme;
    let mut line = Line::default();
    if app.paused {
        line.push_span(Span::styled(" PAUSED ", theme.style(Role::Bar)));
        line.push_span("  ");
    }
    verdicts(&mut line, theme, snapshot);
    let (shown, all) = (app.rows.len(), snapshot.processes.len());
    line.push_span(if shown == all {
        format!(" of {all}")
    } else {
        format!(" of {all}, {shown} shown")
    });
    line.push_span(format!("  {}", theme.text(&snapshot.host)));
    let time = summary::time(snapshot.time_unix_ms);
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
    line.push_span(format!(
        "  {}",
        if app.size.width < DATED_WIDTH {
            clock
        } else {
            &time
        }
    ));
    let sort = app.selection.sort;
    line.push_span(Span::styled(
        format!(
            "  by {} {}",
            sort.field.field().name,
            theme.arrow(sort.descending())
        ),
        theme.style(Role::Quiet),
    ));
    for (on, name) in [(app.selection.tree, "tree"), (app.follow, "follow")] {
        if on {
            line.push_span(Span::styled(format!("  {name}"), theme.style(Role::Title)));
        }
    }
    if !app.selection.filter.is_empty() {
        let filter = format!("  /{}", theme.text(app.selection.filter.text()));
        line.push_span(Span::styled(filter, theme.style(Role::Warning)));
    }
    line
}

/// How many leak, how many are suspected to and how many grow; that none leaks is said as well.
fn verdicts(line: &mut Line<'_>, theme: Theme, snapshot: &Snapshot) {
    let count = |state| {
        snapshot
            .processes
            .iter()
            .filter(|process| process.state == state)
            .count()
    };
    let counts = [State::Leaking, State::Suspected, State::Growing].map(|state| (state, count(state)));
    let mut some = counts.into_iter().filter(|(_, count)| *count > 0).peekable();
    if some.peek().is_none() {
        line.push_span("0 leaking");
    }
    for (number, (state, count)) in some.enumerate() {
        if number > 0 {
            line.push_span(", ");
        }
        let (sign, role) = theme.state(state);
        let text = format!("{sign} {count} {}", state_name(state));
        line.push_span(Span::styled(text, theme.style(role)));
    }
}

fn trust<'a>(theme: Theme, snapshot: &Snapshot) -> Line<'a> {
    let feed = &snapshot.health.feed;
    let problems = summary::problems(&snapshot.health);
    let counters = format!(
        "  dropped {} shed {}",
        units::count(feed.dropped),
        units::count(feed.shed)
    );
    let quiet = theme.style(Role::Quiet);
    let mut line = Line::default();
    match problems.as_slice() {
        [] => {
            let good = format!("{} health ok", theme.tick(true));
            line.push_span(Span::styled(good, theme.style(Role::Good)));
            line.push_span(Span::styled(counters, quiet));
        }
        [first, rest @ ..] => {
            let bad = theme.style(Role::Bad);
            line.push_span(Span::styled(format!("{} degraded", theme.tick(false)), bad));
            line.push_span(Span::styled(counters, quiet));
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" (and {} more)", rest.len())
            };
            line.push_span(Span::styled(format!("  {}{more}", theme.text(first)), bad));
        }
    }
    line.push_span(Span::styled(
        format!("  leakwatch {}", theme.text(&snapshot.tool_version)),
        quiet,
    ));
    line
}
