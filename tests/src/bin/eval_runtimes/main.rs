//! `cargo xtask eval runtimes`: leaking programs in every language, by stock interpreters that run before leakwatch does: does
//! its finding name the function, type, class, goroutine or thread pool, and is the fixed twin left in peace?

mod interpreter;
mod judge;
mod manifest;
mod program;
mod report;
mod suite;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use leakwatch_tests::{binary, document, machine};

/// Runs leaking programs of every runtime, and asks whether leakwatch names what leaks in that runtime's own words
#[derive(Parser)]
#[command(name = "cargo xtask eval runtimes", bin_name = "cargo xtask eval runtimes")]
struct Args {
    /// One interpreter and the first program of each runtime
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// How long each program is watched
    #[arg(long, default_value = "4m")]
    duration: humantime::Duration,
    /// How many programs run side by side
    #[arg(long, value_name = "N", default_value_t = 24)]
    side_by_side: usize,
    /// Only programs whose `runtime version name` contains this; repeatable
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Each in a container with a root and a PID namespace of its own
    #[arg(long)]
    container: bool,
    /// Healthy programs that grow, and nothing else
    #[arg(long)]
    healthy: bool,
    /// Put the results into this page, in place of those of the run before
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "docs/runtimes.md")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "probes need root: sudo -E cargo xtask eval runtimes"
    );
    let description = machine::describe(&machine::command_line("cargo xtask eval runtimes"))?;
    let rows = suite::run(args, &binary::leakwatch()?)?;
    let text = format!("{description}\n{}", report::text(&rows, args.duration.into()));
    println!("{text}");
    for row in &rows {
        eprintln!("{}", row.explanation());
    }
    if let Some(page) = &args.write {
        let section = match (args.healthy, args.container) {
            (true, _) => "healthy",
            (false, true) => "containers",
            (false, false) => "runtimes",
        };
        document::replace(page, section, &text)?;
        eprintln!("written to {}", page.display());
    }
    let failures: Vec<String> = rows.iter().filter_map(judge::Row::failure).collect();
    ensure!(
        failures.is_empty(),
        "not as it should be:\n{}",
        failures.join("\n")
    );
    Ok(())
}
