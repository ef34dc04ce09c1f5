//! `cargo xtask bench`: what leakwatch costs, measured beside other tools doing the same. Reports; asserts nothing.

mod census;
mod overhead;
mod process;
mod scale;
mod spread;
mod trace;
mod unwinding;
mod worker;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use leakwatch_tests::{document, machine};

/// Measures what leakwatch costs, beside other tools doing the same
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time added to system calls, beside an empty program on the same hooks, bpftrace and strace
    Overhead(Run),
    /// The agent with 100, 1,000 and 3,000 processes, beside readers of /proc
    Scale(Run),
    /// Stacks of five real programs: how many are cut short, what each costs, how deep frame pointers lead
    Unwinding(Run),
    /// Time that a trace adds to an allocation and its free, beside what it predicts, memleak and bpftrace
    Trace(Run),
    /// Censuses: how long they take for each GiB, and what requests of the program notice of them
    Census(Run),
    /// What the measurements run against
    #[command(hide = true, subcommand)]
    Worker(worker::Worker),
}

/// How to measure.
#[derive(Clone, clap::Args)]
struct Run {
    /// A smoke run: everything once and short; its numbers mean nothing
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Put the results into this page, in place of those of the run before
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "docs/overhead.md")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().what {
        What::Overhead(run) => report("overhead", &run, overhead::measure),
        What::Scale(run) => report("scale", &run, scale::measure),
        What::Unwinding(run) => report("unwinding", &run, unwinding::measure),
        What::Trace(run) => report("trace", &run, trace::measure),
        What::Census(run) => report("census", &run, census::measure),
        What::Worker(worker) => worker.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn report(name: &str, run: &Run, measure: fn(bool) -> Result<String>) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "probes need root: sudo -E cargo xtask bench {name}"
    );
    let mut text = machine::describe(&format!("cargo xtask bench {name}"))?;
    write!(text, "\n{}", measure(run.quick)?)?;
    println!("{text}");
    if let Some(page) = &run.write {
        document::replace(page, name, &text)?;
        eprintln!("written to {}", page.display());
    }
    Ok(())
}
