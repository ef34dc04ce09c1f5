//! `leakwatch report`: what processes hold, by the stacks that took it, for other tools.

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::{
    Failure,
    output::Output,
    runtime,
    source::{self, Source},
    top,
};
use crate::{
    model::{interest::Interest, snapshot::Snapshot},
    present::profile::{self, Profile, Resource, folded, pprof, svg},
    sampler::Snapshots,
};

/// Writes what processes hold by the stacks that took it: for flame graph viewers, `go tool pprof`, a browser.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// These processes. Repeatable
    #[arg(
        short,
        long = "pid",
        value_name = "PID",
        value_delimiter = ',',
        required = true
    )]
    pub pids: Vec<u32>,

    /// What they hold
    #[arg(long, value_enum, default_value_t = ResourceArg::Fd)]
    pub resource: ResourceArg,

    /// How long to observe: 30s, 5m; a bare number is seconds. A running agent has observed already and answers at once
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = top::interval)]
    pub duration: Duration,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "folded")]
    pub output: ReportFormat,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Read from the agent that listens on this socket
    #[arg(long, value_name = "PATH")]
    pub connect: Option<PathBuf>,
}

/// [`Resource`] as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ResourceArg {
    /// Anonymous memory
    Memory,
    /// Open file descriptors
    Fd,
    /// Threads
    Thread,
}

impl From<ResourceArg> for Resource {
    fn from(resource: ResourceArg) -> Self {
        match resource {
            ResourceArg::Memory => Self::Memory,
            ResourceArg::Fd => Self::Fd,
            ResourceArg::Thread => Self::Thread,
        }
    }
}

/// How to write a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// One line per stack, outermost function first: for flamegraph.pl, speedscope and others
    Folded,
    /// Compressed profile.proto: for go tool pprof, Pyroscope, Parca
    Pprof,
    /// A flame graph to open in a browser
    Svg,
}

impl ReportFormat {
    fn document(self, profile: &Profile) -> Vec<u8> {
        match self {
            Self::Folded => folded::write(profile).into_bytes(),
            Self::Pprof => pprof::write(profile),
            Self::Svg => svg::of_profile(profile).into_bytes(),
        }
    }
}

/// Ticks to wait for the names of functions, which are looked up while sampling goes on.
const TICKS_FOR_NAMES: usize = 3;

/// Time between two readings of our own.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(super) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let output = Output::open(args.output_file.as_deref(), args.output == ReportFormat::Pprof)?;
    let profile = runtime::build()?.block_on(observe(args))?;
    if profile.attributed() == 0 {
        let held = match profile.resource {
            Resource::Memory => "no memory that they hold was taken",
            Resource::Fd => "no descriptor that they have open was opened",
            Resource::Thread => "no thread that they run was started",
        };
        let before = match profile.live() {
            0 => String::new(),
            before => format!("; {before} are older"),
        };
        eprintln!("nothing to blame: {held} while these processes were observed{before}");
    }
    output.write(&args.output.document(&profile))
}

async fn observe(args: &ReportArgs) -> Result<Profile, Failure> {
    let pids: BTreeSet<u32> = args.pids.iter().copied().collect();
    let (publish, snapshots) = watch::channel(None);
    // Kept until the end: without it the source would think that nobody is interested any more.
    let (_want, wanted) = watch::channel(Interest {
        fd_kinds_of: pids.clone(),
        ..Interest::default()
    });
    let source = Source::connect(args.connect.as_deref()).await?;
    let duration = if source.is_agent() {
        eprintln!("reading from the agent: everything taken since it started is attributed");
        Duration::ZERO
    } else {
        eprintln!(
            "observing for {}: what is taken from now on is attributed; Ctrl-C ends it early",
            humantime::format_duration(args.duration)
        );
        args.duration
    };
    let watched = tokio::select! {
        // The watcher first: when it is done, why the source ends does not matter.
        biased;
        watched = watch_for(snapshots, &pids, duration) => watched?,
        ended = source.run(INTERVAL.min(args.duration), wanted, publish, Duration::ZERO) => {
            ended?;
            return Err(Failure::because("the readings ended"));
        }
    };
    let (snapshot, observed_ns) = watched;
    Ok(Profile::of(&snapshot, &pids, args.resource.into(), observed_ns))
}

/// The snapshot that time after the first, or the last one with all of the processes, and the nanoseconds between.
async fn watch_for(
    mut snapshots: Snapshots,
    pids: &BTreeSet<u32>,
    duration: Duration,
) -> Result<(Arc<Snapshot>, u64), Failure> {
    let mut latest = next(&mut snapshots).await?;
    let began_ns = latest.uptime_ns;
    let missing = source::gone(pids, &latest);
    if !missing.is_empty() {
        return Err(source::no_such(&missing));
    }
    let bar = progress(duration);
    let mut over = std::pin::pin!(time_or_signal(duration));
    let mut ticks_after: Option<usize> = None;
    loop {
        if ticks_after.is_some_and(|ticks| ticks >= TICKS_FOR_NAMES || ticks > 0 && has_names(&latest, pids))
        {
            break;
        }
        let snapshot = tokio::select! {
            biased;
            ended = &mut over, if ticks_after.is_none() => {
                ended.map_err(|error| Failure::because(format!("waiting for signals: {error}")))?;
                ticks_after = Some(0);
                continue;
            }
            snapshot = next(&mut snapshots) => snapshot?,
        };
        bar.set_position(milliseconds(bar.elapsed()));
        let missing = source::gone(pids, &snapshot);
        if !missing.is_empty() {
            for pid in missing {
                eprintln!("process {pid} has ended: this is what was held shortly before");
            }
            break;
        }
        latest = snapshot;
        ticks_after = ticks_after.map(|ticks| ticks + 1);
    }
    bar.finish_and_clear();
    // How long an agent has observed is not known.
    let observed_ns = if duration.is_zero() {
        0
    } else {
        latest.uptime_ns.saturating_sub(began_ns)
    };
    Ok((latest, observed_ns))
}

async fn next(snapshots: &mut Snapshots) -> Result<Arc<Snapshot>, Failure> {
    let snapshot = source::next(snapshots).await;
    snapshot.ok_or_else(|| Failure::because("the readings ended"))
}

async fn time_or_signal(duration: Duration) -> io::Result<()> {
    tokio::select! {
        () = tokio::time::sleep(duration) => Ok(()),
        asked = runtime::asked_to_end() => asked,
    }
}

fn has_names(snapshot: &Snapshot, pids: &BTreeSet<u32>) -> bool {
    let mut processes = snapshot.processes.iter();
    processes.all(|process| !pids.contains(&process.id.pid) || profile::is_settled(process))
}

/// A bar on stderr, if that is a terminal.
fn progress(duration: Duration) -> ProgressBar {
    if duration.is_zero() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(milliseconds(duration));
    let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches as _};

    use super::{Duration, ReportArgs, ReportFormat, ResourceArg};

    fn parse(typed: &str) -> Result<ReportArgs, String> {
        let words = std::iter::once("report").chain(typed.split(' '));
        let matches = ReportArgs::augment_args(Command::new("report")).try_get_matches_from(words);
        matches
            .and_then(|matches| ReportArgs::from_arg_matches(&matches))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed_and_its_help_is_known() {
        let mut command = ReportArgs::augment_args(Command::new("report").term_width(100));
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
    }

    #[test]
    fn options_are_what_they_say() {
        let args = parse("-p 1,2 --pid 3 --resource thread -d 90 -o svg").expect("the options are right");
        assert_eq!(args.pids, [1, 2, 3]);
        assert_eq!(
            (args.resource, args.output),
            (ResourceArg::Thread, ReportFormat::Svg)
        );
        assert_eq!(args.duration, Duration::from_secs(90));
        assert!(parse("-o svg").is_err() && parse("-p 1 -d 0").is_err() && parse("-p 1 -o png").is_err());
    }
}
