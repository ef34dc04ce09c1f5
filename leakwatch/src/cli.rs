//! The command line: what was typed, and what the exit code says about what came of it.

pub mod agent;
pub mod check;
pub mod diff;
pub mod doctor;
pub mod explain;
mod failure;
pub mod generate;
pub mod hooks;
mod log;
mod output;
mod privileges;
pub mod record;
mod replay;
pub mod report;
mod runtime;
mod source;
mod time;
pub mod top;
mod top_run;
pub mod trace;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, Parser, Subcommand};

pub use self::failure::Failure;
use crate::{confirm::Staleness, doctor::Verdict};

/// Says what any process on this host leaks, how fast, and when it hits the limit. Nothing in the process changes.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = "Exit codes: 0 fine, 1 leak found or degraded, 2 usage, 3 could not observe.")]
pub struct Cli {
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "LEAKWATCH_COLOR"
    )]
    pub color: ColorChoice,

    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Never clear the kernel's marks of accessed memory, which tell what is used from what is only kept
    #[arg(long, global = true, env = "LEAKWATCH_NO_STALENESS")]
    #[arg(value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub no_staleness: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// A verb.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch every process, live or as text
    Top(top::TopArgs),
    /// Run in the background: Prometheus metrics, health, and a socket for `leakwatch top`
    Agent(agent::AgentArgs),
    /// Keep what is read in a file, to be looked at later and elsewhere
    Record(record::RecordArgs),
    /// Say what leaks by exit code: for CI, for a command, for the whole host
    Check(check::CheckArgs),
    /// Say what a recording shows, or write what processes hold by the stacks that took it
    Report(report::ReportArgs),
    /// Say what grew between two recordings, two moments of one, or two profiles
    Diff(diff::DiffArgs),
    /// Say all that is known of one process on one page
    Explain(explain::ExplainArgs),
    /// Find out which allocations of one process stay, by probing its allocator for a while
    Trace(trace::TraceArgs),
    /// Say why leakwatch works on this host, or does not
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
    /// Print the manual page
    Man,
}

/// Runs the command line and decides the exit code: 0 fine, 1 leak found or degraded, 2 usage, 3 could not observe.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // stdout or stderr may be closed; the code says it all.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    log::init(cli.verbose, cli.color);
    let staleness = if cli.no_staleness {
        Staleness::Off
    } else {
        Staleness::Rationed
    };
    let outcome = match cli.command {
        Command::Top(args) => top_run::run(args, cli.color, staleness),
        Command::Agent(args) => agent::run(&args, staleness),
        Command::Record(args) => record::run(&args, staleness),
        Command::Check(args) => match check::run(&args, cli.color, staleness) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Command::Report(args) => report::run(&args, staleness),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(&args, staleness),
        Command::Trace(args) => trace::run(&args),
        Command::Doctor(args) => match doctor::run(args, cli.color) {
            Ok(verdict) => return ExitCode::from(exit_code(verdict)),
            Err(error) => Err(Failure::output(&error)),
        },
        Command::Completions(args) => generate::completions(&args, &mut Cli::command()),
        Command::Man => generate::man(&Cli::command()),
    };
    match outcome {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure @ Failure::CannotObserve { .. }) => {
            eprint!("{failure}");
            ExitCode::from(3)
        }
        Err(failure @ Failure::Usage { .. }) => {
            eprint!("{failure}");
            ExitCode::from(2)
        }
    }
}

fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Degraded => 1,
        Verdict::CannotRun => 3,
    }
}
