//! What a trace found, as text.

use std::io::{self, Write};

use crate::{
    model::{
        snapshot::FrameRow,
        trace::{AllocationSite, TraceReport},
    },
    present::{text, units},
};

/// Frames of a stack that are shown.
const MOST_FRAMES: usize = 24;

/// Growth below this may be anything, bytes.
const LEAST_GROWTH: i64 = 1 << 20;

/// One line.
const HEAD: &str = "       LIVE      BYTES    AGE  SHARE  SAMPLES  FUNCTION";

/// Writes suspects with their stacks, and then who else allocates.
pub fn write(report: &TraceReport, ascii: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |content: &str| {
        let content = text::printable(content);
        let content = if ascii { text::ascii(&content) } else { content };
        writeln!(out, "{}", content.trim_end())
    };
    line(&format!(
        "{} ({}): allocations of {} in {}, one in {} followed",
        report.name,
        report.pid,
        units::duration(report.observed_ns),
        report.allocator,
        report.one_in
    ))?;
    if let Some(why) = &report.ended_early {
        line(&format!("ended early: {why}"))?;
    }
    line("")?;
    if report.suspects.is_empty() {
        let half = units::duration(report.observed_ns / 2);
        line(&format!(
            "Nothing that was allocated was kept for more than {half}, half of the observation."
        ))?;
    } else {
        let half = units::duration(report.observed_ns / 2);
        line(&format!(
            "Kept for more than {half}, half of the observation (estimates; most bytes first):"
        ))?;
        line(HEAD)?;
        for site in &report.suspects {
            line(&row(site, site.old, site.old_bytes))?;
            for frame in stack(site) {
                line(&frame)?;
            }
        }
    }
    if let Some(elsewhere) = elsewhere(report) {
        line("")?;
        line(&elsewhere)?;
    }
    if !report.others.is_empty() {
        line("")?;
        line("Allocated, and not kept that long (estimates; most allocations first):")?;
        line("  ALLOCATED      BYTES   LIVE  FUNCTION")?;
        for site in &report.others {
            line(&format!(
                "{:>11} {:>10} {:>6}  {}",
                units::count(site.born),
                units::bytes(site.born_bytes),
                units::count(site.live),
                function(site)
            ))?;
        }
    }
    Ok(())
}

/// Where most of its growth is not in what was allocated, that it is not.
fn elsewhere(report: &TraceReport) -> Option<String> {
    let grown = report.grown_bytes.filter(|&grown| grown >= LEAST_GROWTH)?;
    let grown = grown.unsigned_abs();
    (report.live_bytes < grown / 2).then(|| {
        let or_large = match report.one_in {
            0 | 1 => String::new(),
            one_in => format!(", or from few and large blocks, of which one in {one_in} was followed"),
        };
        format!(
            "The process grew by {} meanwhile, and an estimated {} of what was allocated is still held: most of it comes from \
             elsewhere, as the heap of a runtime does{or_large}. See leakwatch explain --pid {}",
            units::bytes(grown),
            units::bytes(report.live_bytes),
            report.pid
        )
    })
}

fn row(site: &AllocationSite, count: u64, bytes: u64) -> String {
    format!(
        "{:>11} {:>10} {:>6} {:>5.1}% {:>8}  {}",
        units::count(count),
        units::bytes(bytes),
        site.mean_age_ns.map_or_else(String::new, units::duration),
        site.share_percent,
        site.old_samples,
        function(site)
    )
}

fn function(site: &AllocationSite) -> String {
    let unnamed = || site.frames.first().map_or_else(|| "?".to_owned(), place);
    site.function.clone().unwrap_or_else(unnamed)
}

fn stack(site: &AllocationSite) -> Vec<String> {
    const INDENT: &str = "                                              ";
    let frame = |frame: &FrameRow| {
        let name = frame.function.clone().unwrap_or_else(|| place(frame));
        let source = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!(" {file}:{line}"),
            _ => String::new(),
        };
        let inlined = if frame.inlined { " (inlined)" } else { "" };
        format!("{INDENT}{name}{inlined}{source}")
    };
    let mut lines: Vec<String> = site.frames.iter().take(MOST_FRAMES).map(frame).collect();
    if site.frames.len() > MOST_FRAMES {
        lines.push(format!("{INDENT}and {} more", site.frames.len() - MOST_FRAMES));
    }
    lines.extend(site.cut.iter().map(|why| format!("{INDENT}({why})")));
    lines
}

/// A frame without a name.
fn place(frame: &FrameRow) -> String {
    let file = frame.module.rsplit('/').next().unwrap_or(&frame.module);
    format!("{file}+{:#x}", frame.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trace::TraceCost;

    fn frame(function: Option<&str>) -> FrameRow {
        FrameRow {
            function: function.map(str::to_owned),
            file: None,
            line: None,
            module: "/usr/bin/shop\x1b[2J".to_owned(),
            build_id: None,
            address: 0x1234,
            inlined: false,
            reason: None,
        }
    }

    fn site(function: Option<&str>, old: u64) -> AllocationSite {
        AllocationSite {
            function: function.map(str::to_owned),
            frames: vec![frame(function), frame(Some("main"))],
            cut: None,
            samples: 100,
            old_samples: old,
            born: 6_400,
            born_bytes: 1 << 20,
            live: old * 64,
            live_bytes: old * 64 * 256,
            old: old * 64,
            old_bytes: old * 64 * 256,
            share_percent: if old > 0 { 100.0 } else { 0.0 },
            mean_age_ns: (old > 0).then_some(21_000_000_000),
        }
    }

    fn report() -> TraceReport {
        TraceReport {
            pid: 77,
            name: "shop".to_owned(),
            allocator: "/lib/libc.so.6".to_owned(),
            observed_ns: 30_000_000_000,
            ended_early: None,
            one_in: 64,
            samples: 200,
            shed: 0,
            live_bytes: 400 << 10,
            grown_bytes: Some(600 << 10),
            cost: TraceCost {
                predicted_percent: 3.0,
                counted_percent: 3.1,
                system_percent: Some(2.0),
                pair_ns: 3_000.0,
                allocations_per_second: 10_000.0,
                frees_per_second: 9_900.0,
            },
            suspects: vec![site(Some("leak_session"), 25)],
            others: vec![site(None, 0)],
        }
    }

    fn text(report: &TraceReport) -> String {
        let mut out = Vec::new();
        write(report, true, &mut out).expect("memory takes writes");
        String::from_utf8(out).expect("text is UTF-8")
    }

    #[test]
    fn suspects_come_with_their_stack_and_churn_without() {
        insta::assert_snapshot!("trace", text(&report()));
    }

    #[test]
    fn nothing_kept_is_said() {
        let mut report = report();
        report.suspects.clear();
        report.ended_early = Some("the process has ended".to_owned());
        let text = text(&report);
        assert!(
            text.contains("Nothing that was allocated was kept for more than 15.0s"),
            "{text}"
        );
        assert!(text.contains("ended early: the process has ended"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn growth_that_was_not_allocated_is_said() {
        let said = |grown_bytes| {
            let report = TraceReport {
                grown_bytes,
                ..report()
            };
            text(&report).contains(
                "The process grew by 9.00 MiB meanwhile, and an estimated 400 KiB of what was allocated",
            )
        };
        assert!(said(Some(9 << 20)));
        assert!(!said(Some(600 << 10)) && !said(Some(-9 << 20)) && !said(None));
    }
}
