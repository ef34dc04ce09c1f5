//! The exactness check for a machine that has nothing but busybox: runs stress under an agent, compares with `/proc`,
//! prints the table, and ends with 0 when everything is equal and 1 when it is not.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use leakwatch_tests::{agent::Agent, compare::until_exact, stress::Stress};
use rustix::process::Signal;

/// Runs stress under an agent and compares what leakwatch counted with /proc.
#[derive(Parser)]
struct Args {
    /// The leakwatch under test
    #[arg(long, value_name = "PATH")]
    leakwatch: PathBuf,
    /// The stress program
    #[arg(long, value_name = "PATH")]
    stress: PathBuf,
    /// How long the stress works
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many seconds leakwatch may take to get ready, and then to catch up: an emulated processor is slow
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let patience = Duration::from_secs(args.patience);
    let agent = Agent::start::<&str>(&args.leakwatch, [], patience)?;
    let mut stress = Stress::start(&args.stress, args.seconds)?;
    let rest = stress.at_rest()?;
    let report = until_exact(&rest, patience, || agent.snapshot_with_fd_kinds())?;
    println!("seed {}, {} operations\n{report}", rest.seed, rest.operations);
    drop(stress);
    agent.stop(Signal::TERM)?;
    Ok(if report.is_exact() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
