//! `leakwatch record`: keeps what is read, to be looked at later and elsewhere.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::{Failure, agent::ProbeArgs, runtime, source, top};
use crate::{
    confirm::Staleness,
    model::interest::Interest,
    sampler::{Sampler, Snapshots},
};

/// Records what every process holds and where it was taken, for `leakwatch top --replay`, on any machine and without root.
///
/// Of a process's memory nothing is recorded: of its stacks only the places in the code. Command lines and paths are.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordArgs {
    /// Where to: a file of its own, for its owner only
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// How long: 30s, 5m, 8h; a bare number is seconds [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = top::interval)]
    pub duration: Option<Duration>,

    /// Time between two readings: 500ms, 2s, 1m30s; a bare number is seconds
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = top::interval)]
    pub interval: Duration,

    /// Look closely at these processes: where their threads wait, what memory is still resident, more call sites. Repeatable
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',')]
    pub pids: Vec<u32>,

    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,

    /// How the probes are to behave
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// Runs the verb.
pub(super) fn run(args: &RecordArgs, staleness: Staleness) -> Result<(), Failure> {
    // What can be refused is refused before anything is loaded.
    let file = create(&args.output, args.force)?;
    let recorded =
        attach(args, file, staleness).and_then(|sampler| runtime::build()?.block_on(record(args, sampler)));
    let size = fs::metadata(&args.output).map_or(0, |metadata| metadata.len());
    match recorded {
        Ok(ticks) => {
            eprintln!(
                "wrote {}: {ticks} ticks, {}; to see them: leakwatch top --replay {0}",
                args.output.display(),
                HumanBytes(size)
            );
            Ok(())
        }
        Err(failure) => {
            // Nothing was recorded: the next attempt finds no file in its way.
            if size == 0 {
                let _ = fs::remove_file(&args.output);
            }
            Err(failure)
        }
    }
}

/// A new file that only its owner can read: command lines may hold secrets.
pub(super) fn create(path: &Path, force: bool) -> Result<File, Failure> {
    let refused = |error: &io::Error| Failure::Usage {
        what: format!("create {}: {error}", path.display()),
        fix: if error.kind() == io::ErrorKind::AlreadyExists {
            "choose another name, or replace it: leakwatch record --force".to_owned()
        } else {
            "choose another place for the recording".to_owned()
        },
    };
    let found = fs::symlink_metadata(path)
        .ok()
        .map(|metadata| metadata.file_type());
    if let Some(found) = found {
        if !found.is_file() {
            return Err(Failure::Usage {
                what: format!("create {}: it is {}", path.display(), in_words(found)),
                fix: "a recording is a file of its own: choose another name".to_owned(),
            });
        }
        if force {
            // Not truncated: somebody may be reading it, and it keeps its mode.
            fs::remove_file(path).map_err(|error| refused(&error))?;
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| refused(&error))
}

/// What is no regular file.
fn in_words(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

fn attach(args: &RecordArgs, file: File, staleness: Staleness) -> Result<Sampler, Failure> {
    let mut sampler = Sampler::attach(&args.probes.into(), runtime::host_name())?.with_staleness(staleness);
    sampler.record_to(file, args.interval)?;
    Ok(sampler)
}

/// Records until it is time, or until asked to end. How many ticks there are.
async fn record(args: &RecordArgs, sampler: Sampler) -> Result<u64, Failure> {
    let interest = Interest {
        fd_kinds_of_all: true,
        fd_kinds_of: args.pids.iter().copied().collect(),
        limits_of_all: true,
    };
    let (publish, snapshots) = watch::channel(None);
    let bar = progress(args.duration);
    let mut ticks = 0;
    let outcome = tokio::select! {
        // The end first: a tick under way is not cut short by it, for ticks do not wait.
        biased;
        () = elapsed(args.duration) => Ok(()),
        asked = runtime::asked_to_end() => {
            asked.map_err(|error| Failure::because(format!("waiting for signals: {error}")))
        }
        ended = sampler.run(args.interval, move || interest.clone(), publish) => ended.map_err(Failure::from),
        () = show(snapshots, &bar, &args.output, &mut ticks) => Ok(()),
    };
    bar.finish_and_clear();
    outcome.map(|()| ticks)
}

async fn elapsed(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn show(mut snapshots: Snapshots, bar: &ProgressBar, path: &Path, ticks: &mut u64) {
    while let Some(snapshot) = source::next(&mut snapshots).await {
        *ticks = snapshot.health.agent.ticks;
        let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
        bar.set_message(format!("{ticks} ticks, {}", HumanBytes(size)));
        bar.set_position(u64::try_from(bar.elapsed().as_millis()).unwrap_or(u64::MAX));
    }
}

/// On stderr, if that is a terminal.
fn progress(duration: Option<Duration>) -> ProgressBar {
    let (bar, template) = match duration {
        Some(duration) => (
            ProgressBar::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            "{elapsed} [{bar:30}] {eta} left, {msg}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{elapsed} recording, {msg}; Ctrl-C ends it",
        ),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use clap::{Args as _, Command};

    use super::{Failure, RecordArgs, create};

    #[test]
    fn the_command_is_well_formed_and_its_help_is_known() {
        let mut command = RecordArgs::augment_args(Command::new("record").term_width(100));
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
    }

    #[test]
    fn a_recording_is_private_and_replaces_nothing_unasked() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("recording");
        drop(create(&path, false).expect("a new file"));
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(create(&path, false), Err(Failure::Usage { .. })));
        drop(create(&path, true).expect("it is replaced"));
    }

    #[test]
    fn only_files_are_replaced_and_what_is_in_the_way_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).expect("a link");
        for (path, what) in [
            (directory.path(), "a directory"),
            (&link, "a symbolic link"),
            (Path::new("/dev/full"), "a device"),
        ] {
            for force in [false, true] {
                let said = create(path, force).expect_err("nothing is replaced").to_string();
                let named = said.contains(&format!("{}: it is {what}\n", path.display()));
                assert!(named && !said.contains("--force"), "{said}");
            }
        }
        assert!(link.is_symlink());
    }
}
