//! `cargo xtask VERB`: everything a developer, the README or CI runs.

mod bench;
mod build;
mod debian;
mod eval;
mod eval_on_programs;
mod lint;
mod root;
mod run;
mod setup;
mod test;
mod vm;

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use xshell::Shell;

/// leakwatch's developer commands
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    Setup(setup::Args),
    /// Build target/release/leakwatch
    Build,
    Run(run::Args),
    /// Run every test; as root, or through sudo, also those with real probes
    Test,
    /// Check format, clippy and architecture
    Lint,
    Vm(vm::Args),
    Bench(bench::Args),
    /// Hold verdicts against what is so: on made-up programs, or on real ones
    Eval(Eval),
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Eval {
    #[command(subcommand)]
    kind: Option<EvalKind>,
    #[command(flatten)]
    made_up: eval::Args,
}

#[derive(clap::Subcommand)]
enum EvalKind {
    /// Run real programs that leak, their fixed twins and healthy growers under leakwatch (see `eval live -- --help`)
    Live(eval_on_programs::Args),
    /// Run leaking programs of every runtime: are they named in its own words? (see `eval runtimes -- --help`)
    Runtimes(eval_on_programs::Args),
}

fn main() -> ExitCode {
    match execute(Verb::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(verb: Verb) -> Result<()> {
    let sh = Shell::new()?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent directory")?;
    sh.change_dir(repository);
    match verb {
        Verb::Setup(args) => setup::setup(&sh, &args),
        Verb::Build => build::release(&sh).map(drop),
        Verb::Run(args) => run::run(&sh, &args),
        Verb::Test => test::test(&sh),
        Verb::Lint => lint::lint(&sh),
        Verb::Vm(args) => vm::vm(&sh, &args),
        Verb::Bench(args) => bench::bench(&sh, &args),
        Verb::Eval(Eval {
            kind: Some(EvalKind::Live(args)),
            ..
        }) => eval_on_programs::eval(&sh, "eval_live", &args),
        Verb::Eval(Eval {
            kind: Some(EvalKind::Runtimes(args)),
            ..
        }) => eval_on_programs::eval(&sh, "eval_runtimes", &args),
        Verb::Eval(Eval { made_up, .. }) => eval::eval(&sh, &made_up),
    }
}
