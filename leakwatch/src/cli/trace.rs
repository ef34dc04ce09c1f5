//! `leakwatch trace`: what was typed, and what is said while it runs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use super::{Failure, runtime, time, top};
use crate::{
    model::trace::TraceReport,
    present::report::trace as text,
    trace::{Prediction, Prepared, Progress, Trace, TraceError, TraceOptions},
};

/// Says which allocations of a process stay, and which code made them.
///
/// The functions of the process's allocator are probed for a while, and one allocation in some is followed: what is older than half of that time is suspected. Being probed costs the process microseconds an allocation; how much
/// in all is predicted first, and nothing is done if it is more than the budget. Nothing of the probes remains.
#[derive(Clone, Debug, clap::Args)]
pub struct TraceArgs {
    /// The process
    #[arg(short, long, value_name = "PID")]
    pub pid: NonZeroU32,

    /// How long: 30s, 5m; a bare number is seconds
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,

    /// What it may cost the process, percent of one processor
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub budget: f64,

    /// Trace even if it costs more than the budget
    #[arg(long)]
    pub force: bool,

    /// How to write the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,

    /// Use nothing outside ASCII; the default where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
}

/// How to write the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One indented document
    Json,
}

/// Longer ones follow so few addresses that they say less.
const LONGEST: Duration = Duration::from_hours(1);
const SHORTEST: Duration = Duration::from_secs(1);
/// How often stacks are taken over, and the progress is shown.
const POLL: Duration = Duration::from_millis(100);

/// Runs the verb.
pub(super) fn run(args: &TraceArgs) -> Result<(), Failure> {
    let options = TraceOptions {
        pid: args.pid,
        duration: args.duration,
    };
    eprintln!("counting allocations of process {} ..", args.pid);
    let prepared = Prepared::new(options).map_err(|error| failure(error, args.pid))?;
    let prediction = prepared.prediction();
    let (functions, dear) = prepared.functions();
    eprintln!(
        "{}",
        predicted(&prediction, prepared.allocator(), functions, dear)
    );
    if 100.0 * prediction.share > args.budget && !args.force {
        return Err(over_budget(args, &prediction));
    }
    let trace = prepared.start().map_err(|error| failure(error, args.pid))?;
    let report = runtime::build()?.block_on(observe(trace, args))?;
    eprintln!("{}", cost(&report));
    let mut out = io::stdout().lock();
    match args.output {
        Format::Text => {
            let ascii = args.ascii || top::locale_is_ascii(|name| std::env::var(name).ok());
            text::write(&report, ascii, &mut out)
        }
        Format::Json => serde_json::to_writer_pretty(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
    }
    .and_then(|()| out.flush())
    .map_err(|error| Failure::output(&error))
}

/// Until the time is over, the process is gone, or somebody has seen enough.
async fn observe(mut trace: Trace, args: &TraceArgs) -> Result<TraceReport, Failure> {
    let begun = Instant::now();
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let bar = progress(args.duration);
    let asked = runtime::asked_to_end();
    tokio::pin!(asked);
    let ended_early = loop {
        tokio::select! {
            asked = &mut asked => {
                asked.map_err(|error| Failure::because(format!("waiting for signals: {error}")))?;
                break Some("it was interrupted");
            }
            _ = polls.tick() => match trace.poll() {
                Progress::Ended => break Some("the process has ended"),
                Progress::OtherProgram => break Some("the process executes another program"),
                Progress::Running { samples } => {
                    bar.set_position(milliseconds(begun.elapsed()));
                    bar.set_message(format!("{samples} stacks"));
                }
            },
        }
        if begun.elapsed() >= args.duration {
            break None;
        }
    };
    bar.finish_and_clear();
    trace
        .finish(ended_early.map(str::to_owned))
        .map_err(|error| failure(error, args.pid))
}

/// A bar on stderr, if that is a terminal.
fn progress(duration: Duration) -> ProgressBar {
    let bar = ProgressBar::new(milliseconds(duration));
    let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {eta} left, {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn predicted(prediction: &Prediction, allocator: &str, functions: usize, dear: usize) -> String {
    let mut text = format!(
        "{allocator}: {functions} functions, {:.0} allocations and {:.0} frees a second\n\
         predicted cost: {:.2} % of one processor, {:.1} us for an allocation and its free; one in {} is followed",
        prediction.allocations_per_second,
        prediction.frees_per_second,
        100.0 * prediction.share,
        prediction.pair_ns / 1e3,
        prediction.one_in,
    );
    if dear > 0 {
        let _ = write!(
            text,
            "\n{dear} of the functions begin with instructions that the kernel cannot emulate: dear where called"
        );
    }
    text
}

fn cost(report: &TraceReport) -> String {
    let cost = &report.cost;
    let system = cost
        .system_percent
        .map(|percent| format!("; its system time rose by {percent:.1} %"))
        .unwrap_or_default();
    let shed = if report.shed > 0 {
        format!("; {} followed without a stack", report.shed)
    } else {
        String::new()
    };
    format!(
        "cost: {:.2} % of one processor at {:.0} allocations and {:.0} frees a second, {:.2} % predicted{system}; {} stacks{shed}",
        cost.counted_percent,
        cost.allocations_per_second,
        cost.frees_per_second,
        cost.predicted_percent,
        report.samples,
    )
}

fn over_budget(args: &TraceArgs, prediction: &Prediction) -> Failure {
    Failure::CannotObserve {
        what: format!(
            "tracing process {} would take {:.1} % of one processor, more than the budget of {} %",
            args.pid,
            100.0 * prediction.share,
            args.budget
        ),
        cause: Some(format!(
            "it makes {:.0} allocations a second, at {:.1} us each with its free",
            prediction.allocations_per_second,
            prediction.pair_ns / 1e3
        )),
        fix: Some(format!(
            "leakwatch trace --pid {} --duration {}s --force",
            args.pid,
            args.duration.as_secs().max(1)
        )),
    }
}

fn failure(error: TraceError, pid: NonZeroU32) -> Failure {
    let what = error.to_string();
    let (cause, fix) = match error {
        TraceError::Kernel(error) => return error.into(),
        TraceError::Process { source, .. }
            if source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(libc::ESRCH) =>
        {
            (
                Some("it has ended, or that is its number in another PID namespace".to_owned()),
                Some("leakwatch top --once, to see which there are".to_owned()),
            )
        }
        TraceError::Process { .. } | TraceError::File { .. } => (
            Some("it belongs to somebody else, and CAP_SYS_ADMIN and CAP_SYS_PTRACE are missing".to_owned()),
            Some(format!("sudo leakwatch trace --pid {pid}")),
        ),
        TraceError::Go { .. } => (
            Some(
                "Go moves its stacks, and a probe on a return leaves an address there that Go does not know"
                    .to_owned(),
            ),
            Some(format!(
                "its own heap profile, if it serves net/http/pprof: go tool pprof http://HOST:PORT/debug/pprof/heap; or leakwatch top --pid {pid}"
            )),
        ),
        TraceError::NoAllocator { stripped: true, .. } => (
            Some("it is linked statically and stripped, or uses no allocator of its own".to_owned()),
            Some("run a build with symbols: do not strip it, or strip --strip-debug".to_owned()),
        ),
        TraceError::NoAllocator { .. } => (
            Some("it manages its memory itself, with functions that leakwatch does not know".to_owned()),
            Some(format!(
                "leakwatch top --pid {pid}, to see which code makes it grow"
            )),
        ),
        TraceError::Calibration(_) | TraceError::Symbols(_) => (None, None),
    };
    Failure::CannotObserve { what, cause, fix }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = time::parse(text)?;
    if (SHORTEST..=LONGEST).contains(&duration) {
        Ok(duration)
    } else {
        Err("a trace takes from 1s to 1h".to_owned())
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (0.0..=10_000.0).contains(&percent) => Ok(percent),
        _ => Err("a number of percent".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_percentages_have_limits() {
        assert_eq!(duration("45"), Ok(Duration::from_secs(45)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["0", "500ms", "2h", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(percent("7.5%"), Ok(7.5));
        for wrong in ["-1", "nan", "much"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
