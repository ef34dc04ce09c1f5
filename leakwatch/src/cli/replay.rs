//! `leakwatch top --replay`: shows a recording.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use clap::ColorChoice;
use tokio::sync::watch;

use super::{Failure, runtime, top::TopArgs, top_run::environment};
use crate::{
    doctor::advice,
    model::snapshot::Snapshot,
    present::{report::Report, top},
    record::{self, RecordError, Replay},
};

/// A pause in the recording is shown no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Opens a recording; what went wrong names it.
pub(super) fn open(path: &Path) -> Result<Replay<impl io::Read + use<>>, Failure> {
    record::replay(path).map_err(|error| failed(path, &error))
}

/// Why a recording cannot be read, or not further.
pub(super) fn failed(path: &Path, error: &RecordError) -> Failure {
    let cause = match error {
        RecordError::Damaged { .. } => Some("the file was changed since, or copied incompletely".to_owned()),
        _ => None,
    };
    let fix = match error {
        RecordError::Foreign(_) | RecordError::NoHeader => {
            Some("record one: sudo leakwatch record -o FILE --duration 1m".to_owned())
        }
        _ => None,
    };
    Failure::CannotObserve {
        what: format!("{}: {}", path.display(), advice::chain(error)),
        cause,
        fix,
    }
}

/// Runs the verb on a recording.
pub(super) fn run(args: &TopArgs, path: &Path, color: ColorChoice, terminal: bool) -> Result<(), Failure> {
    let replay = open(path)?;
    match args.batch(terminal) {
        Some(batch) => write(args, batch, path, replay),
        None => runtime::build()?.block_on(show(args, path, color, replay)),
    }
}

/// Writes every snapshot as fast as it is read; of `--once` the last one.
fn write(
    args: &TopArgs,
    batch: super::top::Batch,
    path: &Path,
    mut replay: Replay<impl io::Read>,
) -> Result<(), Failure> {
    let selection = args.rows();
    let mut report = Report::new(
        batch.format,
        super::top_run::width(),
        args.wants_ascii(environment),
    );
    let mut print = |snapshot: &Snapshot| {
        let mut out = io::stdout().lock();
        report
            .write(snapshot, &selection.rows(snapshot), &mut out)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    };
    let mut left = batch
        .iterations
        .filter(|_| !args.once)
        .map(std::num::NonZeroU64::get);
    let mut last = None;
    let mut broken = None;
    while left != Some(0)
        && let Some(next) = replay.next()
    {
        match next {
            Ok(snapshot) if args.once => last = Some(snapshot),
            Ok(snapshot) => print(&snapshot)?,
            Err(error) => broken = Some(failed(path, &error)),
        }
        left = left.map(|left| left - 1);
    }
    if let Some(last) = last {
        print(&last)?;
    }
    tell(&replay);
    broken.map_or(Ok(()), Err)
}

/// Says on stderr that a recording was cut short.
pub(super) fn tell(replay: &Replay<impl io::Read>) {
    if let Some(warning) = replay.warning() {
        eprintln!("warning: {warning}");
    }
}

async fn show(
    args: &TopArgs,
    path: &Path,
    color: ColorChoice,
    mut replay: Replay<impl io::Read>,
) -> Result<(), Failure> {
    let (publish, snapshots) = watch::channel(None);
    let (pause, mut paused) = watch::channel(false);
    let mut broken = None;
    let shown = {
        let play = async {
            if let Err(error) = play(&mut replay, &publish, &mut paused).await {
                broken = Some(failed(path, &error));
            }
            // The last snapshot stays to be looked at.
            publish.closed().await;
        };
        tokio::select! {
            biased;
            shown = top::replay(snapshots, pause, args.screen(color, environment)) => {
                shown.map_err(|error| Failure::because(format!("the screen: {error}")))
            }
            () = play => Ok(()),
            asked = runtime::asked_to_end() => {
                asked.map_err(|error| Failure::because(format!("waiting for signals: {error}")))
            }
        }
    };
    tell(&replay);
    broken.map_or(shown, Err)
}

/// Publishes snapshots at the speed at which they were recorded, and none while it is paused.
async fn play(
    replay: &mut Replay<impl io::Read>,
    publish: &watch::Sender<Option<Arc<Snapshot>>>,
    paused: &mut watch::Receiver<bool>,
) -> Result<(), RecordError> {
    let mut before = None;
    for snapshot in replay {
        let snapshot = snapshot?;
        let now = snapshot.time_unix_ms;
        let pause = before.replace(now).map_or(Duration::ZERO, |before| {
            Duration::from_millis(now.saturating_sub(before))
        });
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        // When the screen is gone nobody waits for this any more.
        let _ = paused.wait_for(|paused| !paused).await;
        publish.send_replace(Some(Arc::new(snapshot)));
    }
    Ok(())
}
