//! What processes hold now, by the stacks that took it.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::{ProfileFormat, ReportArgs};
use crate::cli::{
    Failure,
    output::Output,
    runtime,
    source::{self, Source},
};
use crate::{
    confirm::Staleness,
    kernel::StacksOf,
    model::{interest::Interest, snapshot::Snapshot},
    present::profile::{self, Profile, Resource},
    sampler::Snapshots,
};

/// Ticks to wait for the names of functions, which are looked up while sampling goes on.
const TICKS_FOR_NAMES: usize = 3;

/// Time between two readings of our own.
const INTERVAL: Duration = Duration::from_secs(1);

/// Observes the processes and writes their profile.
pub(super) fn run(args: &ReportArgs, format: ProfileFormat, staleness: Staleness) -> Result<(), Failure> {
    let output = Output::open(args.output_file.as_deref(), format == ProfileFormat::Pprof)?;
    let profile = runtime::build()?.block_on(observe(args, staleness))?;
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
    output.write(&format.document(&profile))
}

async fn observe(args: &ReportArgs, staleness: Staleness) -> Result<Profile, Failure> {
    let pids: BTreeSet<u32> = args.pids.iter().copied().collect();
    let (publish, snapshots) = watch::channel(None);
    // Kept until the end: without it the source would think that nobody is interested any more.
    let (_want, wanted) = watch::channel(Interest {
        fd_kinds_of: pids.clone(),
        ..Interest::default()
    });
    let source = Source::connect(args.connect.as_deref(), staleness, StacksOf::Wanted).await?;
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
