//! What watches while the load runs.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use leakwatch_tests::{agent::Agent, binary};
use rustix::process::Signal;

use super::bpftrace;
use crate::process::Background;

/// In the order in which they take turns.
pub(super) const CONDITIONS: [Condition; 7] = [
    Condition::Nothing,
    Condition::Empty,
    Condition::Leakwatch,
    Condition::LeakwatchNoStacks,
    Condition::BpftraceExit,
    Condition::BpftraceArguments,
    Condition::Strace,
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Nothing,
    Empty,
    Leakwatch,
    LeakwatchNoStacks,
    BpftraceExit,
    BpftraceArguments,
    Strace,
}

impl Condition {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Empty => "empty programs",
            Self::Leakwatch => "leakwatch",
            Self::LeakwatchNoStacks => "leakwatch, no stacks",
            Self::BpftraceExit => "bpftrace, exit",
            Self::BpftraceArguments => "bpftrace, enter and exit",
            Self::Strace => "strace -c -f",
        }
    }
}

/// How long until a watcher watches.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel accounts for the time of every eBPF program from the agent's first tick to its second, and then for one second
/// of thirty. The load runs between these windows.
const TICKS: u64 = 3;

/// A watcher that is attached.
pub(super) enum Running {
    Nobody,
    EmptyPrograms(Background),
    Bpftrace(Background),
    Agent(Agent),
}

impl Running {
    /// Starts it and returns when it is attached.
    pub(super) fn start(condition: Condition) -> Result<Self> {
        Ok(match condition {
            // strace starts the load itself.
            Condition::Nothing | Condition::Strace => Self::Nobody,
            Condition::Empty => Self::EmptyPrograms(empty_programs()?),
            Condition::Leakwatch => Self::Agent(agent(&[])?),
            Condition::LeakwatchNoStacks => Self::Agent(agent(&["--stacks-per-second", "0"])?),
            Condition::BpftraceExit => Self::Bpftrace(bpftrace::start(&bpftrace::exit_only())?),
            Condition::BpftraceArguments => Self::Bpftrace(bpftrace::start(&bpftrace::with_arguments())?),
        })
    }

    /// Ends it; everything is detached on return.
    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Nobody => Ok(()),
            Self::EmptyPrograms(programs) => programs.end_input(),
            Self::Bpftrace(bpftrace) => bpftrace.interrupt(),
            Self::Agent(agent) => agent.stop(Signal::TERM),
        }
    }
}

fn empty_programs() -> Result<Background> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name("examples").join("empty_probes");
    let mut programs = Background::start(Command::new(path))?;
    let others = programs.line(PATIENCE)?;
    if others != "others: 0" {
        eprintln!("\nanother leakwatch runs here, and the numbers include it ({others} programs)");
    }
    programs.wait_for("attached", PATIENCE)?;
    Ok(programs)
}

fn agent(options: &[&str]) -> Result<Agent> {
    let agent = Agent::start(&binary::leakwatch()?, options.iter().copied(), PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    while ticks(&agent.get("/metrics")?)? < TICKS {
        if Instant::now() > deadline {
            bail!("fewer than {TICKS} ticks after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(agent)
}

fn ticks(metrics: &str) -> Result<u64> {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("leakwatch_ticks_total "));
    value
        .context("no leakwatch_ticks_total")?
        .trim()
        .parse()
        .context("leakwatch_ticks_total")
}
