//! `leakwatch explain`: one process on one page.

mod asking;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::watch, time::sleep};

use self::asking::Asking;
use super::{
    Failure,
    output::Output,
    runtime,
    source::{self, Source},
    top,
};
use crate::{
    confirm::Staleness,
    kernel::StacksOf,
    model::{interest::Interest, snapshot::Snapshot},
    present::explain::{self, Explanation, Format},
    sampler::Snapshots,
};

/// Time between two readings of our own.
const INTERVAL: Duration = Duration::from_secs(1);
/// Readings to wait for the names of functions, which are looked up while sampling goes on.
const READINGS_FOR_NAMES: usize = 3;

/// Says all that is known of one process on one page.
///
/// Who it is, what it holds and how near its limits are, what is found and why, where it took what it holds, what its runtime
/// and its allocator have on their books and by how much that changed while it was observed, what could not be read, and one
/// command to go on with. The process is only read, unless --attach is given.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The process
    #[arg(short, long, value_name = "PID")]
    pub pid: NonZeroU32,

    /// How long to observe: 40s, 5m; a bare number is seconds
    #[arg(short, long, value_name = "TIME", default_value = "40s", value_parser = top::interval)]
    pub duration: Duration,

    /// How to write the page
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Use nothing outside ASCII; the default where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,

    /// ACTS ON THE PROCESS: ask its runtime itself what it holds, at the beginning and at the end.
    ///
    /// java: collects the whole heap twice and stands still meanwhile, as by `jmap -histo:live`; a thread to listen stays.
    /// dotnet: collects the whole heap twice and stands still while it lists its objects, as for `dotnet-gcdump`; takes up to
    /// 300 MB of memory for that.
    /// node: opens its inspector by SIGUSR1, samples what its main thread allocates, collects the whole heap at the end and
    /// stands still meanwhile; what was opened is closed again. A program that handles SIGUSR1 itself does what it does then.
    /// Of others it is said that they cannot be asked. Before it is asked, standard error says what the process will do.
    #[arg(long)]
    pub attach: bool,

    /// Read from the agent that listens on this socket instead of loading probes
    #[arg(long, value_name = "PATH")]
    pub connect: Option<PathBuf>,
}

/// How to write the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people
    Text,
    /// One document, as docs/schema/explain.json describes it
    Json,
    /// One file that needs nothing else, to open in a browser
    Html,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Text => Self::Text,
            OutputFormat::Json => Self::Json,
            OutputFormat::Html => Self::Html,
        }
    }
}

/// Runs the verb.
pub(super) fn run(args: &ExplainArgs, staleness: Staleness) -> Result<(), Failure> {
    let output = Output::open(args.output_file.as_deref(), false)?;
    let explanation = runtime::build()?.block_on(observe(args, staleness))?;
    let ascii = args.ascii || top::locale_is_ascii(|name| std::env::var(name).ok());
    let mut page = Vec::new();
    explain::write(&explanation, args.output.into(), ascii, &mut page)
        .map_err(|error| Failure::output(&error))?;
    output.write(&page)
}

async fn observe(args: &ExplainArgs, staleness: Staleness) -> Result<Explanation, Failure> {
    let pid = args.pid.get();
    let (publish, snapshots) = watch::channel(None);
    // Kept until the end: without it the source would think that nobody is interested any more.
    let (_want, wanted) = watch::channel(Interest {
        fd_kinds_of: [pid].into(),
        ..Interest::default()
    });
    let source = Source::connect(args.connect.as_deref(), staleness, StacksOf::Wanted).await?;
    tokio::select! {
        // The watcher first: when it is done, why the source ends does not matter.
        biased;
        watched = follow(snapshots, args) => watched,
        ended = source.run(INTERVAL, wanted, publish, Duration::ZERO) => {
            ended?;
            Err(Failure::because("the readings ended"))
        }
    }
}

/// Until the time is over and there are names, the process has ended, or somebody has seen enough.
async fn follow(mut snapshots: Snapshots, args: &ExplainArgs) -> Result<Explanation, Failure> {
    let ExplainArgs {
        pid,
        duration,
        attach,
        ..
    } = *args;
    let pid = pid.get();
    let first = next(&mut snapshots).await?;
    let mut explanation = Explanation::begin(pid, &first).ok_or_else(|| source::no_such(&[pid]))?;
    let asking = attach.then(|| Asking::begin(pid));
    let bar = progress(duration);
    let asked = runtime::asked_to_end();
    let time = sleep(duration);
    tokio::pin!(asked, time);
    let mut readings_after: Option<usize> = None;
    while readings_after.is_none_or(|after| after < READINGS_FOR_NAMES && !explanation.has_names()) {
        let snapshot = tokio::select! {
            biased;
            asked = &mut asked => {
                asked.map_err(|error| Failure::because(format!("waiting for signals: {error}")))?;
                break;
            }
            () = &mut time, if readings_after.is_none() => {
                readings_after = Some(0);
                continue;
            }
            snapshot = next(&mut snapshots) => snapshot?,
        };
        bar.set_position(milliseconds(bar.elapsed()));
        if !explanation.add(&snapshot) {
            break;
        }
        readings_after = readings_after.map(|after| after + 1);
    }
    bar.finish_and_clear();
    if let Some(asking) = asking {
        explanation.answered(asking.end().await);
    }
    Ok(explanation)
}

async fn next(snapshots: &mut Snapshots) -> Result<Arc<Snapshot>, Failure> {
    let snapshot = source::next(snapshots).await;
    snapshot.ok_or_else(|| Failure::because("the readings ended"))
}

/// A bar on stderr, if that is a terminal.
fn progress(duration: Duration) -> ProgressBar {
    let bar = ProgressBar::new(milliseconds(duration));
    let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{ExplainArgs, OutputFormat};

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: ExplainArgs,
    }

    #[test]
    fn a_process_is_wanted_and_more_than_half_a_minute_is_usual() {
        assert!(Typed::try_parse_from(["explain"]).is_err());
        assert!(Typed::try_parse_from(["explain", "-p", "0"]).is_err());
        let typed = Typed::try_parse_from(["explain", "-p", "7", "-o", "html"]).unwrap();
        assert_eq!(typed.args.pid.get(), 7);
        assert_eq!(typed.args.duration.as_secs(), 40);
        assert_eq!(typed.args.output, OutputFormat::Html);
    }
}
