//! `leakwatch check`: what was typed, and the exit code that comes of it.

mod command;
mod instant;
mod observation;
mod signals;
mod target;
mod tree;
mod watch;
mod watched;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

use clap::ColorChoice;

use self::target::Target;
use super::{Failure, hooks::HookArgs, output::Output, runtime, time, top};
use crate::{
    confirm::Staleness,
    model::finding::Verdict,
    present::findings::{self, Document, Format, NearLimit, Style},
};

/// Says what leaks, and why it is thought to.
///
/// Watches processes for a while, writes what was found with its evidence, and ends with 0 when nothing leaks, 1 when
/// something does, and 3 when that could not be seen: "no leak" is never said of what was not observed. With a command,
/// that is started under observation and watched with all its children; its own exit code is passed on unless a leak
/// decides. Without any target it is the whole host.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target"))]
pub struct CheckArgs {
    /// These processes. Repeatable
    #[arg(
        short,
        long = "pid",
        value_name = "PID",
        value_delimiter = ',',
        group = "target"
    )]
    pub pids: Vec<u32>,

    /// The processes of this container: its id, or the beginning of it
    #[arg(short, long, value_name = "ID", group = "target")]
    pub container: Option<String>,

    /// The processes with this name, of the command or of the executable; * and ? stand for any text and any character
    #[arg(long, value_name = "PATTERN", group = "target")]
    pub name: Option<String>,

    /// How long to observe: 30s, 5m; a bare number is seconds [default: 60s, or until the command ends]. A command that
    /// still runs then is ended. 0 shows what is near a limit now
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,

    /// What ends the check with exit code 1
    #[arg(long, value_name = "VERDICT", default_value = "leaking")]
    pub fail_on: FailOn,

    /// How to write what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,

    /// Write it to this file instead of standard output (standard error when there is a command)
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Use nothing outside ASCII; the default where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,

    /// Read from the agent that listens on this socket instead of loading probes
    #[arg(long, value_name = "PATH")]
    pub connect: Option<PathBuf>,

    /// Whom to tell
    #[command(flatten)]
    pub hooks: HookArgs,

    /// Start this, and watch it with all its children
    #[arg(last = true, value_name = "COMMAND", group = "target")]
    pub command: Vec<OsString>,
}

/// A verdict that fails the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// More likely a leak than not
    Suspected,
    /// A leak, at a confidence of 0.9 and more
    Leaking,
}

impl From<FailOn> for Verdict {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Suspected => Self::Suspected,
            FailOn::Leaking => Self::Leaking,
        }
    }
}

/// How to write what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Sentences with their evidence
    Text,
    /// One document, as docs/schema/findings.json describes it
    Json,
    /// A test suite: one case per process and resource
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Text => Self::Text,
            OutputFormat::Json => Self::Json,
            OutputFormat::Junit => Self::Junit,
            OutputFormat::Github => Self::Github,
        }
    }
}

/// How long to observe when nothing else was said.
const DEFAULT_DURATION: Duration = Duration::from_mins(1);
/// Nothing can be said after less.
const SHORTEST: Duration = Duration::from_secs(10);

const LEAK: u8 = 1;
const UNOBSERVED: u8 = 3;

impl CheckArgs {
    fn target(&self) -> Target {
        if let Some(id) = &self.container {
            Target::Container(id.to_lowercase())
        } else if let Some(pattern) = &self.name {
            Target::name(pattern)
        } else if !self.pids.is_empty() {
            Target::Pids(self.pids.iter().copied().collect())
        } else if self.command.is_empty() {
            Target::Host
        } else {
            Target::Tree(None)
        }
    }

    fn is_instant(&self) -> bool {
        self.duration.is_some_and(|duration| duration.is_zero())
    }

    /// Until when; `None` is until the command ends.
    fn time(&self) -> Option<Duration> {
        self.duration
            .or(self.command.is_empty().then_some(DEFAULT_DURATION))
    }

    /// Where what was found goes: a command has standard output to itself.
    fn output(&self) -> Result<Output, Failure> {
        if self.command.is_empty() || self.output_file.is_some() {
            return Output::open(self.output_file.as_deref(), false);
        }
        match self.output {
            OutputFormat::Text | OutputFormat::Github => Ok(Output::Stderr),
            OutputFormat::Json | OutputFormat::Junit => Err(Failure::Usage {
                what: "standard output belongs to the command".to_owned(),
                fix: "add --output-file FILE".to_owned(),
            }),
        }
    }

    fn style(&self, output: &Output, color: ColorChoice) -> Style {
        let environment = |name: &str| std::env::var(name).ok();
        let terminal = match output {
            Output::Stdout => io::stdout().is_terminal(),
            Output::Stderr => io::stderr().is_terminal(),
            Output::File(..) => false,
        };
        Style {
            color: (terminal || color == ColorChoice::Always) && top::wants_color(color, environment),
            ascii: self.ascii || top::locale_is_ascii(environment),
        }
    }
}

/// How a check ended.
struct Checked {
    document: Document,
    /// Of a command that ended by itself.
    command: Option<ExitStatus>,
}

/// Runs the verb and says the exit code.
pub(super) fn run(args: &CheckArgs, color: ColorChoice, staleness: Staleness) -> Result<u8, Failure> {
    if args.is_instant() && !args.command.is_empty() {
        return Err(Failure::Usage {
            what: "a command needs time".to_owned(),
            fix: "leave --duration away, to watch it until it ends".to_owned(),
        });
    }
    let output = args.output()?;
    let style = args.style(&output, color);
    let checked = runtime::build()?.block_on(async {
        if args.is_instant() {
            Box::pin(instant::look(args, staleness)).await
        } else {
            Box::pin(watch::watch(args, staleness)).await
        }
    })?;
    let Checked { document, command } = checked;
    let threshold = args.fail_on.into();
    let mut text = Vec::new();
    findings::write(&document, args.output.into(), threshold, style, &mut text)
        .map_err(|error| Failure::output(&error))?;
    if args.output_file.is_some() && !document.is_instant() {
        eprintln!("{}", document.summary(threshold));
    }
    match output.write(&text) {
        // Whoever reads no further still gets the verdict.
        Ok(()) | Err(Failure::ClosedPipe) => Ok(code(&document, threshold, command)),
        Err(failure) => Err(failure),
    }
}

/// A leak decides, then the command, and then whether anything can be said at all.
fn code(document: &Document, threshold: Verdict, command: Option<ExitStatus>) -> u8 {
    let near_a_limit = document.is_instant() && document.limits.iter().any(NearLimit::is_critical);
    if near_a_limit || document.failures(threshold).next().is_some() {
        return LEAK;
    }
    match command.map_or(0, command::code) {
        0 if !document.complete => UNOBSERVED,
        code => code,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = time::parse(text)?;
    if duration.is_zero() || duration >= SHORTEST {
        Ok(duration)
    } else {
        Err("an observation takes at least 10s; 0 shows what is near a limit now".to_owned())
    }
}

#[cfg(test)]
mod tests;
