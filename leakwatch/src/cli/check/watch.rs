//! The observation: from the first reading to the last.

use std::{collections::BTreeMap, io, process::ExitStatus, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::Signal;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    CheckArgs, Checked,
    command::{self, Running},
    observation::Observation,
    signals::Signals,
    target::Target,
    tree::Tree,
};
use crate::{
    cli::{
        Failure,
        source::{self, Source},
    },
    confirm::Staleness,
    hook::Hook,
    model::{
        identity::ProcessId,
        interest::Interest,
        snapshot::{Snapshot, State},
    },
    sampler::Snapshots,
};

/// Time between two readings of our own.
const INTERVAL: Duration = Duration::from_secs(1);
/// A reading waits so long for names of functions: those of a process that ends cannot be had later.
const NAMES_WITHIN: Duration = Duration::from_secs(1);
/// A command whose time is over has so long to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(50);

/// Watches, and starts the command if there is one.
pub(super) async fn watch(args: &CheckArgs, staleness: Staleness) -> Result<Checked, Failure> {
    let signals = Signals::new(!args.command.is_empty())
        .map_err(|error| Failure::because(format!("waiting for signals: {error}")))?;
    let (publish, mut snapshots) = watch::channel(None);
    let (want, wanted) = watch::channel(Interest::default());
    let target = args.target();
    let source = Source::connect(args.connect.as_deref(), staleness, target.stacks_of()).await?;
    let readings = source.run(INTERVAL, wanted, publish, NAMES_WITHIN);
    tokio::pin!(readings);
    let first = tokio::select! {
        biased;
        first = source::next(&mut snapshots) => first,
        ended = &mut readings => {
            ended?;
            None
        }
    };
    let first = first.ok_or_else(|| Failure::because("the readings ended"))?;
    is_there(&target, &first)?;
    let mut check = Check {
        observation: Observation::begin(target, first),
        hook: args.hooks.hook(),
        command: None,
        signals,
        snapshots,
        want,
        bar: progress(args),
    };
    let status = check.run(args, readings).await?;
    check.bar.finish_and_clear();
    if let Some(hook) = check.hook.take() {
        hook.finish().await;
    }
    Ok(Checked {
        document: check.observation.document(),
        command: status,
    })
}

/// Whether there is anybody to watch.
pub(super) fn is_there(target: &Target, snapshot: &Snapshot) -> Result<(), Failure> {
    if let Target::Pids(pids) = target {
        let missing = source::gone(pids, snapshot);
        return if missing.is_empty() {
            Ok(())
        } else {
            Err(source::no_such(&missing))
        };
    }
    let known = BTreeMap::new();
    let mut processes = snapshot.processes.iter();
    if matches!(target, Target::Tree(_)) || processes.any(|process| target.is_meant(process, &known)) {
        return Ok(());
    }
    Err(Failure::CannotObserve {
        what: format!("no process of {}", target.in_words()),
        cause: Some("it has ended, or is called something else".to_owned()),
        fix: Some("leakwatch top --once, to see which there are".to_owned()),
    })
}

struct Check {
    observation: Observation,
    hook: Option<Hook>,
    command: Option<Running>,
    signals: Signals,
    snapshots: Snapshots,
    want: watch::Sender<Interest>,
    bar: ProgressBar,
}

impl Check {
    /// Until the time is over, the command has ended, or nobody is left. How a command ended that ended by itself.
    async fn run(
        &mut self,
        args: &CheckArgs,
        mut readings: std::pin::Pin<&mut impl Future<Output = Result<(), Failure>>>,
    ) -> Result<Option<ExitStatus>, Failure> {
        if !args.command.is_empty() {
            // The probes are attached: nothing that it does is missed.
            let running = match Running::start(&args.command) {
                Ok(running) => running,
                Err(error) => return Ok(Some(self.not_started(args, &error))),
            };
            let tree = Tree::new(running.pid(), std::process::id());
            self.observation.watch(Target::Tree(Some(tree)));
            self.command = Some(running);
        }
        let end = args.time().map(|time| Instant::now() + time);
        let mut reading = true;
        loop {
            let wait = wait(self.command.as_mut());
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    let Some(command) = &self.command else {
                        self.observation.problem("it was ended early".to_owned(), false);
                        return Ok(None);
                    };
                    command.forward(signal);
                }
                ended = &mut readings, if reading => {
                    reading = false;
                    let why = match ended {
                        Err(Failure::CannotObserve { what, .. }) => format!(": {what}"),
                        _ => String::new(),
                    };
                    self.observation.problem(format!("the readings ended early{why}"), true);
                    if self.command.is_none() {
                        return Ok(None);
                    }
                }
                snapshot = source::next(&mut self.snapshots), if reading => {
                    if let Some(snapshot) = snapshot {
                        self.saw(snapshot);
                    }
                    if self.observation.is_over() {
                        return Ok(None);
                    }
                }
                status = wait => return status.map(Some).map_err(|error| waiting(&error)),
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                    self.end_command().await?;
                    return Ok(None);
                }
            }
        }
    }

    fn saw(&mut self, snapshot: std::sync::Arc<Snapshot>) {
        let hooked = self.hook.as_ref().map(Hook::children).unwrap_or_default();
        self.observation.add(snapshot, &hooked);
        self.want.send_if_modified(|interest| {
            let looked_at = self.observation.looked_at();
            let differs = interest.fd_kinds_of != looked_at;
            interest.fd_kinds_of = looked_at;
            differs
        });
        if let Some(hook) = &mut self.hook {
            let observation = &self.observation;
            hook.see(observation.latest(), |finding| observation.is_meant(finding));
        }
        if let Some(command) = &self.command {
            let (root, reaper) = (command.pid(), std::process::id());
            let orphans = self.observation.latest().processes.iter().filter(|process| {
                process.state == State::Zombie
                    && process.parent_pid == reaper
                    && process.id.pid != root
                    && !hooked.contains(&process.id.pid)
            });
            orphans.for_each(|process| command::reap(process.id));
        }
        self.bar
            .set_position(u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(u64::MAX));
    }

    /// Ends a command whose time is over, with all that it started.
    async fn end_command(&mut self) -> Result<(), Failure> {
        let Some(mut command) = self.command.take() else {
            return Ok(());
        };
        let root = command.pid();
        let mut descendants: Vec<ProcessId> = self.observation.alive().filter(|id| id.pid != root).collect();
        for signal in [Signal::TERM, Signal::KILL] {
            command.forward(signal);
            for &process in &descendants {
                command::signal(process, signal);
            }
            let until = Instant::now() + GRACE;
            while Instant::now() < until {
                let ended = command.has_ended().map_err(|error| waiting(&error))?;
                descendants.retain(|&process| {
                    command::reap(process);
                    command::is_there(process)
                });
                if ended && descendants.is_empty() {
                    return Ok(());
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    fn not_started(&mut self, args: &CheckArgs, error: &io::Error) -> ExitStatus {
        use std::os::unix::process::ExitStatusExt as _;
        let program = args.command.first().map(|program| program.display().to_string());
        eprintln!("error: run {}: {error}", program.unwrap_or_default());
        self.observation
            .problem("the command could not be started".to_owned(), true);
        // As wait(2) would say it.
        ExitStatus::from_raw(i32::from(command::code_of_failure(error)) << 8)
    }
}

async fn wait(command: Option<&mut Running>) -> io::Result<ExitStatus> {
    match command {
        Some(command) => command.wait().await,
        None => std::future::pending().await,
    }
}

fn waiting(error: &io::Error) -> Failure {
    Failure::because(format!("waiting for the command: {error}"))
}

/// A bar on stderr, if that is a terminal and nobody else's.
fn progress(args: &CheckArgs) -> ProgressBar {
    let Some(time) = args.time().filter(|_| args.command.is_empty()) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
