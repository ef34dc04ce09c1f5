//! `leakwatch top --replay`: shows a recording, or a series in CSV.

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
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
    record::{self, Import, Looks, RecordError, Replay, import_csv},
};

/// A pause in the recording is shown no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What helps who has none.
const RECORD_ONE: &str = "record one: sudo leakwatch record -o FILE --duration 1m";

/// What was seen, one snapshot after the other.
pub(super) enum Readings {
    /// By leakwatch, which recorded it.
    Recorded(Box<Replay<BufReader<File>>>),
    /// By somebody else, of whom there are numbers in CSV.
    Series(Box<Import>),
}

impl Iterator for Readings {
    type Item = Result<Snapshot, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Recorded(replay) => replay.next(),
            Self::Series(import) => import.next().map(Ok),
        }
    }
}

/// Opens a recording or a series; what went wrong names it.
pub(super) fn open(path: &Path) -> Result<Readings, Failure> {
    match record::replay(path) {
        Ok(replay) => Ok(Readings::Recorded(Box::new(replay))),
        Err(RecordError::Foreign(Looks::Text)) => series(path),
        Err(error) => Err(failed(path, &error)),
    }
}

fn series(path: &Path) -> Result<Readings, Failure> {
    let refused = |why: String| Failure::CannotObserve {
        what: format!(
            "{}: neither a recording nor a series in CSV: {why}",
            path.display()
        ),
        cause: None,
        fix: Some(format!(
            "{RECORD_ONE}; or write columns time, pid, rss_bytes, fds, threads"
        )),
    };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let import = import_csv(BufReader::new(file)).map_err(|error| refused(advice::chain(&error)))?;
    Ok(Readings::Series(Box::new(import)))
}

/// Why a recording cannot be read, or not further.
pub(super) fn failed(path: &Path, error: &RecordError) -> Failure {
    let cause = match error {
        RecordError::Damaged { .. } => Some("the file was changed since, or copied incompletely".to_owned()),
        _ => None,
    };
    let fix = match error {
        RecordError::Foreign(_) | RecordError::NoHeader => Some(RECORD_ONE.to_owned()),
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
    let readings = open(path)?;
    match args.batch(terminal) {
        Some(batch) => write(args, batch, path, readings),
        None => runtime::build()?.block_on(show(args, path, color, readings)),
    }
}

/// Writes every snapshot as fast as it is read; of `--once` the last one.
fn write(
    args: &TopArgs,
    batch: super::top::Batch,
    path: &Path,
    mut readings: Readings,
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
        && let Some(next) = readings.next()
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
    tell(&readings);
    broken.map_or(Ok(()), Err)
}

/// Says on stderr that a recording was cut short.
pub(super) fn tell(readings: &Readings) {
    if let Readings::Recorded(replay) = readings
        && let Some(warning) = replay.warning()
    {
        eprintln!("warning: {warning}");
    }
}

async fn show(
    args: &TopArgs,
    path: &Path,
    color: ColorChoice,
    mut readings: Readings,
) -> Result<(), Failure> {
    let (publish, snapshots) = watch::channel(None);
    let (pause, mut paused) = watch::channel(false);
    let mut broken = None;
    let shown = {
        let play = async {
            if let Err(error) = play(&mut readings, &publish, &mut paused).await {
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
    tell(&readings);
    broken.map_or(shown, Err)
}

/// Publishes snapshots at the speed at which they were recorded, and none while it is paused.
async fn play(
    readings: &mut Readings,
    publish: &watch::Sender<Option<Arc<Snapshot>>>,
    paused: &mut watch::Receiver<bool>,
) -> Result<(), RecordError> {
    let mut before = None;
    for snapshot in readings {
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

#[cfg(test)]
mod tests {
    use std::{fs, iter};

    use super::{Failure, Readings, open};

    #[test]
    fn a_series_is_read_as_a_recording_is_and_other_text_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("series.csv");
        let rows = (0..60).map(|second| format!("{second},7,{}", 20 + second));
        let lines: Vec<String> = iter::once("time,pid,fds".to_owned()).chain(rows).collect();
        fs::write(&path, lines.join("\n")).expect("a file");
        let readings = open(&path).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(matches!(readings, Readings::Series(_)));
        let last = readings.last().expect("readings").expect("whole");
        assert_eq!(last.processes[0].fds, 79);
        fs::write(&path, "dear diary\n").expect("a file");
        let Err(Failure::CannotObserve { what, .. }) = open(&path) else {
            panic!("it is no series");
        };
        assert!(what.contains("no column time"), "{what}");
    }
}
