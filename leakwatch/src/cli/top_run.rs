//! `leakwatch top`: where snapshots come from, and who shows them.

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroU64,
    sync::Arc,
};

use clap::ColorChoice;
use tokio::{net::UnixStream, sync::watch};

use super::{
    Failure, runtime,
    top::{Batch, TopArgs},
};
use crate::{
    kernel::LoadOptions,
    model::{interest::Interest, snapshot::Snapshot},
    present::{report::Report, rows::RowSelection, top},
    run::{Sampler, Snapshots},
    socket,
};

/// Runs the verb.
pub(super) fn run(args: TopArgs, color: ColorChoice) -> Result<(), Failure> {
    runtime::build()?.block_on(show(args, color))
}

async fn show(args: TopArgs, color: ColorChoice) -> Result<(), Failure> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let batch = args.batch(terminal);
    let (publish, snapshots) = watch::channel(None);
    let (want, wanted) = watch::channel(interest(&args));
    let agent = connect(&args).await?;
    let from_agent = agent.is_some();
    let source = async {
        if let Some(stream) = agent {
            socket::watch(stream, wanted, publish)
                .await
                .map_err(|error| Failure::because(format!("watching the agent: {error}")))
        } else {
            let sampler = Sampler::attach(&LoadOptions::default(), runtime::host_name())?;
            sampler
                .run(args.interval, move || wanted.borrow().clone(), publish)
                .await
                .map_err(Failure::from)
        }
    };
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
        ended = source => ended,
        asked = runtime::asked_to_end() => asked.map_err(|error| Failure::because(format!("waiting for signals: {error}"))),
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What costs something and is wanted from the start.
fn interest(args: &TopArgs) -> Interest {
    Interest {
        fd_kinds_of_all: args.fd_kinds,
        fd_kinds_of: args.pids.iter().copied().collect(),
    }
}

/// A running agent, if one was asked for or is there.
async fn connect(args: &TopArgs) -> Result<Option<UnixStream>, Failure> {
    if let Some(path) = &args.connect {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| Failure::CannotObserve {
                what: format!("connect {}: {error}", path.display()),
                cause: Some("no agent listens there, or it is not yours to watch".to_owned()),
                fix: Some("load the probes here instead: leakwatch top, without --connect".to_owned()),
            })?;
        return Ok(Some(stream));
    }
    Ok(UnixStream::connect(socket::DEFAULT_PATH).await.ok())
}

/// Writes snapshots as text. Growth takes two readings, so the first one of our own is not shown.
async fn write(
    mut snapshots: Snapshots,
    selection: &RowSelection,
    batch: Batch,
    ascii: bool,
    from_agent: bool,
) -> Result<(), Failure> {
    let width = io::stdout()
        .is_terminal()
        .then(|| crossterm::terminal::size().ok())
        .flatten()
        .map(|(columns, _)| columns)
        // A serial console does not know its width.
        .filter(|&columns| columns > 0);
    let mut report = Report::new(batch.format, width, ascii);
    let mut left = batch.iterations.map(NonZeroU64::get);
    let mut shown_before = from_agent;
    let mut missing = Vec::new();
    while left != Some(0) {
        let Some(snapshot) = next(&mut snapshots).await else {
            break;
        };
        if !std::mem::replace(&mut shown_before, true) {
            continue;
        }
        missing = gone(selection, &snapshot);
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
    let pids: Vec<String> = missing.iter().map(u32::to_string).collect();
    Err(Failure::CannotObserve {
        what: format!("no process {}", pids.join(", ")),
        cause: Some("it has ended, or that is its number in another PID namespace".to_owned()),
        fix: Some("leakwatch top --once, to see which there are".to_owned()),
    })
}

async fn next(snapshots: &mut Snapshots) -> Option<Arc<Snapshot>> {
    loop {
        snapshots.changed().await.ok()?;
        if let Some(snapshot) = snapshots.borrow_and_update().clone() {
            return Some(snapshot);
        }
    }
}

/// Processes that were asked for and are not there.
fn gone(selection: &RowSelection, snapshot: &Snapshot) -> Vec<u32> {
    let is_there = |pid: &u32| snapshot.processes.iter().any(|process| process.id.pid == *pid);
    selection
        .pids
        .iter()
        .copied()
        .filter(|pid| !is_there(pid))
        .collect()
}
