//! Time added to system calls.
//!
//! Conditions take turns, `A B C … A B C …`, so that whatever else the machine does reaches all of them. What a condition
//! adds is the difference to `nothing` in the same round; the median is over rounds.

mod bpftrace;
mod condition;
mod report;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::machine;

use crate::{spread::Spread, worker::Timing};
use condition::{CONDITIONS, Condition, Running};

/// Rounds over all conditions.
const ROUNDS: usize = 7;
/// Runs of the load in each condition of a round: where its memory comes to lie differs from run to run, and its speed with it.
const LOADS: usize = 3;
/// Time for each operation in one run of the load.
const MILLISECONDS: u64 = 150;
const QUICK_MILLISECONDS: u64 = 15;

/// One round: what each condition measured.
struct Round {
    load_average: f64,
    timings: Vec<(Condition, Vec<Vec<Timing>>)>,
}

impl Round {
    /// Nanoseconds of one operation: the median over the runs of the load.
    fn ns(&self, condition: Condition, operation: &str) -> Option<f64> {
        let (_, loads) = self.timings.iter().find(|(of, _)| *of == condition)?;
        let timings = loads.iter().flatten();
        let ns = timings
            .filter(|timing| timing.operation == operation)
            .map(|timing| timing.ns);
        Some(Spread::of(ns)?.median)
    }

    /// What the condition adds to one operation, nanoseconds.
    fn added(&self, condition: Condition, operation: &str) -> Option<f64> {
        Some(self.ns(condition, operation)? - self.ns(Condition::Nothing, operation)?)
    }
}

/// Measures and returns the report.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let (rounds, loads, milliseconds) = if quick {
        (1, 1, QUICK_MILLISECONDS)
    } else {
        (ROUNDS, LOADS, MILLISECONDS)
    };
    let mut done = Vec::new();
    for number in 1..=rounds {
        let mut round = Round {
            load_average: machine::load_average()?,
            timings: Vec::new(),
        };
        for condition in CONDITIONS {
            eprint!("\rround {number} of {rounds}: {:<30}", condition.name());
            let timings = run(condition, loads, milliseconds).with_context(|| condition.name().to_owned())?;
            round.timings.push((condition, timings));
        }
        done.push(round);
    }
    eprintln!();
    Ok(report::render(&done))
}

fn run(condition: Condition, loads: usize, milliseconds: u64) -> Result<Vec<Vec<Timing>>> {
    let running = Running::start(condition)?;
    let timings = (0..loads).map(|_| load(condition, milliseconds)).collect();
    running.stop()?;
    timings
}

fn load(condition: Condition, milliseconds: u64) -> Result<Vec<Timing>> {
    // The last processor: the first one serves most interrupts.
    let cpu = machine::cores() - 1;
    let output = command(condition)?
        .args(["worker", "load"])
        .args([
            "--cpu",
            &cpu.to_string(),
            "--milliseconds",
            &milliseconds.to_string(),
        ])
        .output()
        .context("cannot run the load")?;
    ensure!(
        output.status.success(),
        "the load ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("not what the load prints")
}

fn command(condition: Condition) -> Result<Command> {
    let own = std::env::current_exe()?;
    Ok(if condition == Condition::Strace {
        let mut strace = Command::new("strace");
        strace.args(["-c", "-f", "-o", "/dev/null"]).arg(own);
        strace
    } else {
        Command::new(own)
    })
}
