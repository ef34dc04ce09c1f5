//! The loop: snapshots, keys and signals in, frames out.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write, stdin, stdout},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::layout::Size;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{TopOptions, action::Effect, app::App, keys, terminal::TerminalGuard, view};
use crate::model::{interest::Interest, snapshot::Snapshot};
use crate::present::{
    report::{Format, Report},
    rows::Row,
    summary,
};

/// Why the screen could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// There is nothing to draw on.
    #[error("stdin and stdout must be a terminal; `leakwatch top --batch` writes to a file or pipe")]
    NotATerminal,
    /// The terminal does not take what is drawn.
    #[error("cannot draw on the terminal")]
    Draw(#[source] io::Error),
    /// The terminal does not give its keys.
    #[error("cannot read keys from the terminal")]
    Keys(#[source] io::Error),
    /// The signal of Ctrl-Z cannot be handled.
    #[error("cannot handle SIGTSTP")]
    Signal(#[source] io::Error),
}

/// Shows `snapshots` until the user quits or no more can come. Dropping the future restores the terminal as well, so
/// that the caller may end it on a signal.
pub async fn run(
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    interest: watch::Sender<Interest>,
    options: TopOptions,
) -> Result<(), TopError> {
    show(snapshots, |app| tell(&interest, app.interest()), options).await
}

/// The same for a recording, whose player is told when the user pauses: what it would show meanwhile comes afterwards.
pub async fn replay(
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    paused: watch::Sender<bool>,
    options: TopOptions,
) -> Result<(), TopError> {
    show(snapshots, |app| tell(&paused, app.paused), options).await
}

/// Sends what is new.
fn tell<T: PartialEq>(to: &watch::Sender<T>, now: T) {
    to.send_if_modified(|before| {
        let differs = *before != now;
        *before = now;
        differs
    });
}

async fn show(
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    tell: impl Fn(&App),
    options: TopOptions,
) -> Result<(), TopError> {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err(TopError::NotATerminal);
    }
    if options.theme.color {
        // Otherwise NO_COLOR would still win over an explicit --color=always.
        crossterm::style::force_color_output(true);
    }
    let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).map_err(TopError::Signal)?;
    let mut terminal = TerminalGuard::new().map_err(TopError::Draw)?;
    let size = terminal.get().size().map_err(TopError::Draw)?;
    let mut events = EventStream::new();
    let mut app = App::new(options, size);
    snapshots.mark_changed();
    loop {
        tell(&app);
        draw(&mut terminal, &mut app).map_err(TopError::Draw)?;
        select! {
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let snapshot = snapshots.borrow_and_update().clone();
                if let Some(snapshot) = snapshot {
                    app.take(snapshot);
                }
            }
            event = events.next() => match event {
                None => return Ok(()),
                Some(Err(error)) => return Err(TopError::Keys(error)),
                Some(Ok(Event::Resize(width, height))) => app.resize(Size { width, height }),
                Some(Ok(Event::Key(key))) => {
                    let effect = keys::action(app.context(), key).map(|action| app.update(action));
                    match effect.unwrap_or(Effect::None) {
                        Effect::None => {}
                        Effect::Quit => return Ok(()),
                        Effect::Save(snapshot) => app.tell(match save(&snapshot, Path::new("")) {
                            Ok(path) => format!("wrote {}", path.display()),
                            Err(error) => format!("cannot write the snapshot: {error}"),
                        }),
                        Effect::Redraw => terminal.get().clear().map_err(TopError::Draw)?,
                        // The whole group, as the terminal itself would do: the shell waits for all of it to stop.
                        Effect::Suspend => terminal
                            .lend(|| Ok(kill_current_process_group(Signal::STOP)?))
                            .map_err(TopError::Draw)?,
                    }
                }
                Some(Ok(_)) => {}
            },
            _ = stops.recv() => terminal
                .lend(|| Ok(kill_process(getpid(), Signal::STOP)?))
                .map_err(TopError::Draw)?,
        }
    }
}

fn draw(terminal: &mut TerminalGuard, app: &mut App) -> io::Result<()> {
    // The size is asked for and not only told: no resize is told while stopped.
    let size = terminal.get().size()?;
    if size != app.size {
        app.resize(size);
    }
    let mut most = 0;
    terminal.get().draw(|frame| most = view::draw(frame, app))?;
    app.limit_scroll(most);
    Ok(())
}

/// Writes the whole snapshot into a file of its own, whatever the filter. Command lines may hold secrets and the directory
/// may be anybody's: the file is for its owner only and never one that exists, nor a link to one.
fn save(snapshot: &Snapshot, directory: &Path) -> io::Result<PathBuf> {
    let time = summary::time(snapshot.time_unix_ms).replace(':', "");
    let path = std::path::absolute(directory.join(format!("leakwatch-{time}.json")))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let rows: Vec<Row> = (0..snapshot.processes.len())
        .map(|index| Row {
            index,
            depth: 0,
            parent: false,
        })
        .collect();
    let mut text = Vec::new();
    Report::new(Format::Json, None, false).write(snapshot, &rows, &mut text)?;
    file.write_all(&text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::save;
    use crate::model::snapshot::Snapshot;
    use crate::present::sample;
    use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt};

    #[test]
    fn a_saved_snapshot_is_whole_private_and_never_overwrites() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = save(&sample::snapshot(), directory.path()).expect("a file");
        assert_eq!(
            path.file_name().expect("a name"),
            "leakwatch-2025-11-20T180436Z.json"
        );
        let read: Snapshot = serde_json::from_slice(&fs::read(&path).expect("text")).expect("a snapshot");
        assert_eq!(read, sample::snapshot());
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = save(&sample::snapshot(), directory.path()).expect_err("the file exists");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }
}
