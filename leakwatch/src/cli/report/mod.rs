//! `leakwatch report`: what a recording says, or what processes hold now, for people and for other tools.

mod live;
mod recorded;

use std::{path::PathBuf, time::Duration};

use super::{Failure, top};
use crate::{
    confirm::Staleness,
    present::profile::{Profile, Resource, folded, pprof, svg},
};

/// Says what was found in a recording, why, and what every process did; or writes what processes hold by the stacks that
/// took it: for flame graph viewers, `go tool pprof`, a browser.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// A recording that `leakwatch record` wrote, or a series in CSV. Without it the processes given by --pid are observed now
    #[arg(value_name = "FILE", required_unless_present = "pids")]
    pub file: Option<PathBuf>,

    /// These processes; of a recording all when left out. Repeatable
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',')]
    pub pids: Vec<u32>,

    /// What they hold, of the formats folded, pprof and svg
    #[arg(long, value_enum, default_value_t = ResourceArg::Fd)]
    pub resource: ResourceArg,

    /// How long to observe: 30s, 5m; a bare number is seconds. A running agent has observed already and answers at once
    #[arg(
        short,
        long,
        value_name = "TIME",
        default_value = "30s",
        value_parser = top::interval,
        conflicts_with = "file"
    )]
    pub duration: Duration,

    /// Format [default: text of a recording, else folded]
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ReportFormat>,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Read from the agent that listens on this socket
    #[arg(long, value_name = "PATH", conflicts_with = "file")]
    pub connect: Option<PathBuf>,
}

/// [`Resource`] as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ResourceArg {
    /// Anonymous memory
    Memory,
    /// Open file descriptors
    Fd,
    /// Threads
    Thread,
}

impl From<ResourceArg> for Resource {
    fn from(resource: ResourceArg) -> Self {
        match resource {
            ResourceArg::Memory => Self::Memory,
            ResourceArg::Fd => Self::Fd,
            ResourceArg::Thread => Self::Thread,
        }
    }
}

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// Findings with their evidence, and what every process did (of a recording)
    Text,
    /// The same for programs (of a recording)
    Json,
    /// One line per process and reading, for spreadsheets; leakwatch reads it back (of a recording)
    Csv,
    /// The findings for a ticket (of a recording)
    Markdown,
    /// One page with charts that needs nothing else, to open in a browser (of a recording)
    Html,
    /// One line per stack, outermost function first: for flamegraph.pl, speedscope and others
    Folded,
    /// Compressed profile.proto: for go tool pprof, Pyroscope, Parca
    Pprof,
    /// A flame graph to open in a browser
    Svg,
}

/// How to write what processes hold at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProfileFormat {
    Folded,
    Pprof,
    Svg,
}

impl ReportFormat {
    /// `None` for what tells of more than one moment.
    fn of_profile(self) -> Option<ProfileFormat> {
        match self {
            Self::Text | Self::Json | Self::Csv | Self::Markdown | Self::Html => None,
            Self::Folded => Some(ProfileFormat::Folded),
            Self::Pprof => Some(ProfileFormat::Pprof),
            Self::Svg => Some(ProfileFormat::Svg),
        }
    }
}

impl ProfileFormat {
    fn document(self, profile: &Profile) -> Vec<u8> {
        match self {
            Self::Folded => folded::write(profile).into_bytes(),
            Self::Pprof => pprof::write(profile),
            Self::Svg => svg::of_profile(profile).into_bytes(),
        }
    }
}

/// Runs the verb.
pub(super) fn run(args: &ReportArgs, staleness: Staleness) -> Result<(), Failure> {
    match (&args.file, args.output) {
        (Some(file), format) => recorded::run(args, file, format.unwrap_or(ReportFormat::Text)),
        (None, format) => match format.unwrap_or(ReportFormat::Folded).of_profile() {
            Some(format) => live::run(args, format, staleness),
            None => Err(Failure::Usage {
                what: "this format tells of a recording, and none was given".to_owned(),
                fix: "record first: sudo leakwatch record -o FILE --duration 5m, and then: leakwatch report FILE".to_owned(),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches as _};

    use super::{Duration, ReportArgs, ReportFormat, ResourceArg, Staleness, run};
    use crate::cli::Failure;

    fn parse(typed: &str) -> Result<ReportArgs, String> {
        let words = std::iter::once("report").chain(typed.split(' '));
        let matches = ReportArgs::augment_args(Command::new("report")).try_get_matches_from(words);
        matches
            .and_then(|matches| ReportArgs::from_arg_matches(&matches))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed_and_its_help_is_known() {
        let mut command = ReportArgs::augment_args(Command::new("report").term_width(100));
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_help());
    }

    #[test]
    fn options_are_what_they_say() {
        let args = parse("-p 1,2 --pid 3 --resource thread -d 90 -o svg").expect("the options are right");
        assert_eq!(args.pids, [1, 2, 3]);
        assert_eq!(
            (args.resource, args.output),
            (ResourceArg::Thread, Some(ReportFormat::Svg))
        );
        assert_eq!(args.duration, Duration::from_secs(90));
        assert!(parse("-o svg").is_err() && parse("-p 1 -d 0").is_err() && parse("-p 1 -o png").is_err());
    }

    #[test]
    fn a_recording_needs_no_pid_and_is_not_observed() {
        let args = parse("run.lw -o html").expect("the options are right");
        assert_eq!(args.file.as_deref(), Some(std::path::Path::new("run.lw")));
        assert!(parse("run.lw -d 5s").is_err() && parse("run.lw --connect /x").is_err());
    }

    #[test]
    fn a_page_about_one_moment_is_refused() {
        let args = parse("-p 1 -o html").expect("the options are right");
        assert!(matches!(run(&args, Staleness::Off), Err(Failure::Usage { .. })));
    }
}
