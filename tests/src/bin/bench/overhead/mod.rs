//! Time added to system calls.
//!
//! Conditions take turns, `A B C … A B C …`, so that whatever else the machine does reaches all of them. What a condition
//! adds is the difference to `nothing` in the same round; the median is over rounds.

mod bpftrace;
mod condition;
mod report;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{machine, worker::Timing};
use condition::{CONDITIONS, Condition, Running};

/// Rounds over all conditions.
const ROUNDS: usize = 7;
/// Time for each operation.
const MILLISECONDS: u64 = 150;
const QUICK_MILLISECONDS: u64 = 15;

/// One round: what each condition measured.
struct Round {
    load_average: f64,
    timings: Vec<(Condition, Vec<Timing>)>,
}

impl Round {
    /// Nanoseconds of one operation.
    fn ns(&self, condition: Condition, operation: &str) -> Option<f64> {
        let (_, timings) = self.timings.iter().find(|(of, _)| *of == condition)?;
        let timing = timings.iter().find(|timing| timing.operation == operation)?;
        Some(timing.ns)
    }

    /// What the condition adds to one operation, nanoseconds.
    fn added(&self, condition: Condition, operation: &str) -> Option<f64> {
        Some(self.ns(condition, operation)? - self.ns(Condition::Nothing, operation)?)
    }
}

/// Measures and returns the report.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let (rounds, milliseconds) = if quick {
        (1, QUICK_MILLISECONDS)
    } else {
        (ROUNDS, MILLISECONDS)
    };
    let mut done = Vec::new();
    for number in 1..=rounds {
        let mut round = Round {
            load_average: machine::load_average()?,
            timings: Vec::new(),
        };
        for condition in CONDITIONS {
            eprint!("\rround {number} of {rounds}: {:<30}", condition.name());
            let timings = run(condition, milliseconds).with_context(|| condition.name().to_owned())?;
            round.timings.push((condition, timings));
        }
        done.push(round);
    }
    eprintln!();
    Ok(report::render(&done))
}

fn run(condition: Condition, milliseconds: u64) -> Result<Vec<Timing>> {
    let running = Running::start(condition)?;
    let mut command = load(condition)?;
    // The last processor: the first one serves most interrupts.
    let cpu = machine::cores() - 1;
    command.args([
        "--cpu",
        &cpu.to_string(),
        "--milliseconds",
        &milliseconds.to_string(),
    ]);
    let output = command.output().context("cannot run the load")?;
    running.stop()?;
    ensure!(
        output.status.success(),
        "the load ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("not what the load prints")
}

fn load(condition: Condition) -> Result<Command> {
    let own = std::env::current_exe()?;
    let mut command = if condition == Condition::Strace {
        let mut strace = Command::new("strace");
        strace.args(["-c", "-f", "-o", "/dev/null"]).arg(own);
        strace
    } else {
        Command::new(own)
    };
    command.args(["worker", "load"]);
    Ok(command)
}
