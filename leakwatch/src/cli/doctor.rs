//! `leakwatch doctor`: what was typed, and where the report goes.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use clap::{ColorChoice, ValueEnum};

use super::top;
use crate::doctor::{
    self, Verdict,
    report::{self, Style},
};

/// Says why leakwatch works on this host, or does not.
///
/// Loads, attaches and detaches every probe, and looks at what decides whether that works. Exit codes: 0 nothing is
/// missing, 1 something is, 3 leakwatch cannot run here.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DoctorArgs {
    /// How to write the report
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: OutputFormat,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns for people
    Table,
    /// One document, as docs/schema/doctor.json describes it
    Json,
}

/// Examines this host and writes the report to stdout. A reader who leaves early still gets the verdict.
///
/// # Errors
/// When the report cannot be written for another reason.
pub fn run(args: DoctorArgs, color: ColorChoice) -> io::Result<Verdict> {
    let examination = doctor::examine();
    let mut text = Vec::new();
    match args.output {
        OutputFormat::Json => report::json(&examination, &mut text)?,
        OutputFormat::Table => report::table(&examination, style(color), &mut text)?,
    }
    let mut out = io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(examination.verdict()),
    }
}

fn style(color: ColorChoice) -> Style {
    let environment = |name: &str| env::var(name).ok();
    let suits = color == ColorChoice::Always || io::stdout().is_terminal();
    Style {
        color: suits && top::wants_color(color, environment),
        ascii: top::locale_is_ascii(environment),
    }
}
