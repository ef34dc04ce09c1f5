//! `cargo xtask eval`: how well leakwatch tells leaks from growth, beside what others do, on programs that are made up.

mod baselines;
mod case;
mod detectors;
mod draw;
mod families;
mod refit;
mod replay;
mod report;
mod run;
mod score;
mod whole;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use leakwatch_tests::document;

use crate::{detectors::Detector, run::Judges, score::Tally};

/// Evaluates the detector on made-up programs, beside what others do
#[derive(Parser)]
#[command(name = "cargo xtask eval", bin_name = "cargo xtask eval")]
struct Args {
    /// Few cases of each family; fails when precision or recall is below the floor
    #[arg(long)]
    quick: bool,
    /// Cases of each family
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// What the cases are drawn from; nothing was ever tuned on the default
    #[arg(long, value_name = "N", default_value_t = 70_001)]
    seed: u64,
    /// Only families with this in their names
    #[arg(long, value_name = "TEXT")]
    family: Option<String>,
    /// Print every case that leakwatch got wrong, and its reasons when it was surest, on stderr
    #[arg(long)]
    wrong: bool,
    /// Fit the weights of evidence anew, each family held out in turn, and print what the others' weights make of it
    #[arg(long)]
    refit: bool,
    /// Put the results into this page, in place of those of the run before
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "docs/evaluation.md")]
    write: Option<PathBuf>,
}

/// Cases of each family, and of a quick run.
const CASES: u64 = 20;
const QUICK: u64 = 2;
/// What a quick run must reach: below what is measured, by what so few cases may be off. It guards against breakage.
const LEAST_PRECISION: f64 = 0.70;
const LEAST_RECALL: f64 = 0.80;

fn main() -> ExitCode {
    match evaluate(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(args: &Args) -> Result<()> {
    let cases = args.cases.unwrap_or(if args.quick { QUICK } else { CASES });
    let mut families = families::all();
    if let Some(text) = &args.family {
        families.retain(|family| family.name.contains(text.as_str()));
        ensure!(!families.is_empty(), "no family has {text:?} in its name");
    }
    let began = Instant::now();
    let judges = if args.refit {
        Judges::Leakwatch
    } else {
        Judges::Everybody
    };
    let judged = run::all(&families, args.seed, cases, judges);
    eprintln!("{} cases in {:.0?}", judged.len(), began.elapsed());
    if args.refit {
        println!("{}", refit::render(&families, &judged));
        return Ok(());
    }
    let text = format!(
        "`cargo xtask eval --cases {cases} --seed {}`: {}",
        args.seed,
        report::render(&families, &judged)
    );
    println!("{text}");
    if args.wrong {
        eprint!("{}", report::wrong(&families, &judged));
    }
    if let Some(page) = &args.write {
        document::replace(page, "evaluation", &text)?;
        eprintln!("written to {}", page.display());
    }
    if args.quick {
        let mut tally = Tally::default();
        for judged in &judged {
            tally.add(judged, Detector::Leakwatch.alarm(judged));
        }
        let (precision, recall) = (tally.precision(), tally.recall());
        ensure!(
            precision >= LEAST_PRECISION && recall >= LEAST_RECALL,
            "precision {precision:.3} or recall {recall:.3} is below the floor of {LEAST_PRECISION} and {LEAST_RECALL}"
        );
    }
    Ok(())
}
