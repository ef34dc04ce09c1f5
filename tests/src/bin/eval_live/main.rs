//! `cargo xtask eval live`: real programs that leak, their fixed twins, and healthy ones that grow, run under leakwatch.

mod build;
mod catalog;
mod growth;
mod judge;
mod program;
mod report;
mod row;
mod suite;
mod timeline;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use leakwatch_tests::{binary, document, machine};

/// Runs real programs under leakwatch, and holds its verdicts against what they do
#[derive(Parser)]
#[command(name = "cargo xtask eval live", bin_name = "cargo xtask eval live")]
struct Args {
    /// A part of the programs, side by side and for two and a half minutes, or five on a busy machine
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// How long each program runs
    #[arg(long, default_value = "10m", default_value_if("quick", "true", "150s"))]
    duration: humantime::Duration,
    /// How long they may run on while a leak that has to be found is not even suspected
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "0s",
        default_value_if("quick", "true", "5m")
    )]
    at_most: humantime::Duration,
    /// How many programs run side by side
    #[arg(long, value_name = "N", default_value_t = 40)]
    side_by_side: usize,
    /// Only programs whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Without leakwatch: whether each program leaks, or does not, as it should
    #[arg(long, conflicts_with = "write")]
    programs: bool,
    /// Put the results into this page, in place of those of the run before
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "docs/evaluation-live.md")]
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
    let leakwatch = if args.programs {
        None
    } else {
        ensure!(
            rustix::process::geteuid().is_root(),
            "probes need root: sudo -E cargo xtask eval live"
        );
        Some(binary::leakwatch()?)
    };
    let description = machine::describe(&machine::command_line("cargo xtask eval live"))?;
    let suite = suite::run(args, leakwatch.as_deref())?;
    if args.programs {
        println!("{}", report::programs(&suite.rows));
        return suite::ensure_pairs(&suite.rows);
    }
    let text = format!("{description}\n{}", report::text(&suite));
    println!("{text}");
    for explanation in suite.rows.iter().filter_map(row::Row::explanation) {
        eprintln!("{explanation}");
    }
    suite::ensure_pairs(&suite.rows)?;
    if let Some(page) = &args.write {
        document::replace(page, "live", &text)?;
        eprintln!("written to {}", page.display());
    }
    let failures = report::failures(&suite.rows);
    ensure!(
        failures.is_empty(),
        "not as it should be:\n{}",
        failures.join("\n")
    );
    Ok(())
}
