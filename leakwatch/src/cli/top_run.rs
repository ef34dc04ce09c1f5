//! `leakwatch top`: who shows the snapshots.

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroU64,
    time::Duration,
};

use clap::ColorChoice;
use tokio::sync::watch;

use super::{
    Failure, record, replay, runtime,
    source::{self, Source},
    top::{Batch, TopArgs},
};
use crate::{
    confirm::Staleness,
    kernel::StacksOf,
    model::interest::Interest,
    present::{report::Report, rows::RowSelection, top},
    sampler::Snapshots,
};

/// What is written waits so long for names of functions.
const NAMES_WITHIN: Duration = Duration::from_secs(3);

/// Runs the verb.
pub(super) fn run(args: TopArgs, color: ColorChoice, staleness: Staleness) -> Result<(), Failure> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if let Some(path) = &args.replay {
        return replay::run(&args, path, color, terminal);
    }
    runtime::build()?.block_on(show(args, color, terminal, staleness))
}

async fn show(
    args: TopArgs,
    color: ColorChoice,
    terminal: bool,
    staleness: Staleness,
) -> Result<(), Failure> {
    let batch = args.batch(terminal);
    let (publish, snapshots) = watch::channel(None);
    let (want, wanted) = watch::channel(interest(&args));
    let source = match &args.record {
        Some(path) => Source::Probes {
            recording: Some(record::create(path, false)?),
            staleness,
            stacks_of: StacksOf::Everyone,
        },
        None => Source::connect(args.connect.as_deref(), staleness, stacks_of(&args)).await?,
    };
    let from_agent = source.is_agent();
    // A screen fills in names as they come; what is written once has to have them.
    let patience = batch.as_ref().map_or(Duration::ZERO, |_| NAMES_WITHIN);
    let readings = source.run(args.interval, wanted, publish, patience);
    let view = async {
        match batch {
            Some(batch) => {
                write(
                    snapshots,
                    &args.rows(),
                    batch,
                    args.wants_ascii(environment),
                    from_agent,
                )
                .await
            }
            None => top::run(snapshots, want, args.screen(color, environment))
                .await
                .map_err(|error| Failure::because(format!("the screen: {error}"))),
        }
    };
    tokio::select! {
        // The view first: when it is done, why the source ends does not matter.
        biased;
        shown = view => shown,
        ended = readings => ended,
        asked = runtime::asked_to_end() => asked.map_err(|error| Failure::because(format!("waiting for signals: {error}"))),
    }
}

pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Of whom stacks are taken: of those that are shown.
fn stacks_of(args: &TopArgs) -> StacksOf {
    if args.pids.is_empty() {
        StacksOf::Everyone
    } else {
        StacksOf::Wanted
    }
}

/// What costs something and is wanted from the start.
fn interest(args: &TopArgs) -> Interest {
    Interest {
        fd_kinds_of_all: args.fd_kinds,
        fd_kinds_of: args.pids.iter().copied().collect(),
        ..Interest::default()
    }
}

/// Writes snapshots as text. Growth takes two readings, so the first one of our own is not shown.
async fn write(
    mut snapshots: Snapshots,
    selection: &RowSelection,
    batch: Batch,
    ascii: bool,
    from_agent: bool,
) -> Result<(), Failure> {
    let mut report = Report::new(batch.format, width(), ascii);
    let mut left = batch.iterations.map(NonZeroU64::get);
    let mut shown_before = from_agent;
    let mut missing = Vec::new();
    while left != Some(0) {
        let Some(snapshot) = source::next(&mut snapshots).await else {
            break;
        };
        if !std::mem::replace(&mut shown_before, true) {
            continue;
        }
        missing = source::gone(&selection.pids, &snapshot);
        let mut out = io::stdout().lock();
        report
            .write(&snapshot, &selection.rows(&snapshot), &mut out)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))?;
        left = left.map(|left| left - 1);
        if !selection.pids.is_empty() && missing.len() == selection.pids.len() {
            break;
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(source::no_such(&missing))
}

/// Columns of the terminal that text goes to, if it is one.
pub(super) fn width() -> Option<u16> {
    io::stdout()
        .is_terminal()
        .then(|| crossterm::terminal::size().ok())
        .flatten()
        .map(|(columns, _)| columns)
        // A serial console does not know its width.
        .filter(|&columns| columns > 0)
}
