//! One resource of one process over time: its level, its floor, the limit, and where it is going.

use std::fmt::{self, Write as _};

use crate::model::finding::{Finding, Limit, Resource};
use crate::present::{markup::Escaped, recording::Course, units, words};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 24.0;
/// Lines across, the one at 0 aside.
const GRID: u32 = 4;
/// A limit is drawn when it is no further above than so many times what was ever held, or no further ahead than so many
/// times what was seen; else it is only told.
const LIMIT_IN_SIGHT: f64 = 4.0;

const NANOSECONDS: f64 = 1e9;

/// Draws into `out`; nothing of a process of which there is one reading only.
pub(super) fn draw(out: &mut String, course: &Course, finding: &Finding, length_ns: u64) -> fmt::Result {
    let points = course.series.points();
    let resource = finding.resource;
    let (Some(last), true) = (points.last(), points.len() > 1) else {
        return Ok(());
    };
    let now = last.elapsed_ns as f64 / NANOSECONDS;
    let held = last.last[resource as usize] as f64;
    let most = course.most[resource as usize] as f64;
    let seen = length_ns as f64 / NANOSECONDS;
    let is_soon = finding
        .seconds_to_limit
        .is_some_and(|span| span.low <= seen * LIMIT_IN_SIGHT);
    let limit = finding
        .limit
        .as_ref()
        .map(|limit| (limit, end_of_room(limit, held)))
        .filter(|(_, end)| is_soon || *end <= most.max(1.0) * LIMIT_IN_SIGHT);
    let ahead = ahead(finding, seen, limit.is_some());
    let cone_top = finding
        .rate_per_second
        .map_or(held, |rate| held + rate.high.max(0.0) * ahead);
    let top = match limit {
        Some((_, end)) => end.max(most) * 1.08,
        None => most.max(cone_top.min(most * 2.0)).max(1.0) * 1.08,
    };
    let chart = Chart {
        seconds: (now + ahead).max(1e-9),
        top,
        resource,
    };
    chart.open(out, finding)?;
    chart.axes(out)?;
    if ahead > 0.0 {
        chart.forecast(out, finding, now, held, ahead)?;
    }
    if let Some((limit, end)) = limit {
        chart.limit(out, limit, end)?;
    }
    let floor = course.series.floor(resource);
    let times = points.iter().map(|point| point.elapsed_ns as f64 / NANOSECONDS);
    let floors = times.clone().zip(floor.iter().map(|floor| *floor as f64));
    chart.line(out, "floor", floors)?;
    let levels = times.zip(points.iter().map(|point| point.last[resource as usize] as f64));
    chart.line(out, "level", levels)?;
    out.push_str("</svg>\n");
    Ok(())
}

/// The level at which the limit is reached: others may use it, too.
fn end_of_room(limit: &Limit, held: f64) -> f64 {
    held + limit.value.saturating_sub(limit.in_use) as f64
}

/// How far the future is drawn, seconds: a quarter of what was seen, or until a limit in sight is surely reached, if that
/// is not too far; nothing where nothing rises.
fn ahead(finding: &Finding, seen: f64, limited: bool) -> f64 {
    if finding.rate_per_second.is_none_or(|rate| rate.high <= 0.0) {
        return 0.0;
    }
    let span = finding.seconds_to_limit.filter(|_| limited);
    let reached = span.map(|span| span.high.unwrap_or(span.low * 1.5));
    let wanted = reached.map_or(seen / 4.0, |reached| reached * 1.05);
    wanted.clamp(seen / 4.0, seen.max(1.0) * LIMIT_IN_SIGHT)
}

struct Chart {
    /// Seconds from the left to the right.
    seconds: f64,
    /// The level at the top.
    top: f64,
    resource: Resource,
}

impl Chart {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds / self.seconds).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, level: f64) -> f64 {
        HEIGHT - BOTTOM - (level / self.top).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn open(&self, out: &mut String, finding: &Finding) -> fmt::Result {
        let what = words::resource(self.resource);
        write!(
            out,
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{what} of {} over time</title>\n\
             <line class=\"level\" x1=\"{LEFT}\" x2=\"{}\" y1=\"12\" y2=\"12\"/><text x=\"{}\" y=\"16\">held</text>\n\
             <line class=\"floor\" x1=\"{}\" x2=\"{}\" y1=\"12\" y2=\"12\"/><text x=\"{}\" y=\"16\">never given back</text>\n",
            Escaped(&finding.process),
            LEFT + 24.0,
            LEFT + 30.0,
            LEFT + 80.0,
            LEFT + 104.0,
            LEFT + 110.0,
        )?;
        if finding.rate_per_second.is_some() {
            writeln!(
                out,
                "<rect class=\"cone\" x=\"{}\" y=\"6\" width=\"24\" height=\"12\"/><text x=\"{}\" y=\"16\">forecast, 95 %</text>",
                LEFT + 230.0,
                LEFT + 260.0
            )?;
        }
        Ok(())
    }

    fn axes(&self, out: &mut String) -> fmt::Result {
        for step in 0..=GRID {
            let level = self.top * f64::from(step) / f64::from(GRID);
            let y = self.y(level);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                self.amount(level)
            )?;
        }
        for step in 0..=GRID {
            let seconds = self.seconds * f64::from(step) / f64::from(GRID);
            let anchor = if step == GRID { "end" } else { "middle" };
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                self.x(seconds),
                HEIGHT - 6.0,
                if step == 0 {
                    "0".to_owned()
                } else {
                    words::seconds(seconds)
                }
            )?;
        }
        Ok(())
    }

    fn amount(&self, level: f64) -> String {
        // Levels came from integers.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and never negative"
        )]
        let level = level.max(0.0) as u64;
        match self.resource {
            Resource::Memory => units::bytes(level),
            Resource::Fd | Resource::Thread | Resource::Maps => units::count(level),
        }
    }

    /// From what is held now, as slow and as fast as it may go on.
    fn forecast(&self, out: &mut String, finding: &Finding, now: f64, held: f64, ahead: f64) -> fmt::Result {
        let Some(rate) = finding.rate_per_second else {
            return Ok(());
        };
        let (x, y) = (self.x(now), self.y(held));
        let cone = [rate.low, rate.high].map(|rate| self.clipped(held, rate, ahead));
        let [(low_x, low_y), (high_x, high_y)] =
            cone.map(|(seconds, level)| (self.x(now + seconds), self.y(level)));
        let corner = self.x(now + ahead);
        writeln!(
            out,
            "<polygon class=\"cone\" points=\"{x:.1},{y:.1} {high_x:.1},{high_y:.1} {corner:.1},{:.1} {low_x:.1},{low_y:.1}\"/>",
            if high_x < corner {
                high_y.min(low_y)
            } else {
                high_y
            }
        )?;
        let (seconds, level) = self.clipped(held, rate.value, ahead);
        writeln!(
            out,
            "<line class=\"forecast\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\
             <line class=\"end\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
            self.x(now + seconds),
            self.y(level),
            HEIGHT - BOTTOM
        )
    }

    /// Where a straight line leaves the chart: seconds from now, and the level.
    fn clipped(&self, held: f64, rate: f64, ahead: f64) -> (f64, f64) {
        let level = held + rate * ahead;
        if level > self.top && rate > 0.0 {
            ((self.top - held) / rate, self.top)
        } else {
            (ahead, level.max(0.0))
        }
    }

    fn limit(&self, out: &mut String, limit: &Limit, end: f64) -> fmt::Result {
        let y = self.y(end);
        writeln!(
            out,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"limit-name\" x=\"{}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT + 6.0,
            y + 15.0,
            Escaped(&format!(
                "{} {}",
                limit.name,
                words::amount(self.resource, limit.value)
            ))
        )
    }

    fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) -> fmt::Result {
        write!(out, "<polyline class=\"{class}\" points=\"")?;
        for (seconds, level) in points {
            write!(out, "{:.1},{:.1} ", self.x(seconds), self.y(level))?;
        }
        writeln!(out, "\"/>")
    }
}
