//! `leakwatch diff`: what grew between two recordings, two moments of one, or two profiles.

mod moment;
mod profiles;
mod recordings;

use std::path::{Path, PathBuf};

use self::moment::Moment;
use super::Failure;
use crate::record::{self, RecordError};

/// Says what grew, by process and by the code that did it: before and after a load test, yesterday and today.
///
/// Both are recordings of `leakwatch record`, or both are profiles of `leakwatch report`. A recording is taken at its end, or
/// where a time is given after its name: FILE@start, FILE@60s, FILE@10m, FILE@end. So two moments of one recording are
/// compared by: leakwatch diff run.lw@60s run.lw@10m
#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// The earlier recording, FILE or FILE@TIME, or profile, folded or pprof
    pub base: PathBuf,

    /// The later one
    pub new: PathBuf,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: DiffFormat,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
}

/// How to write a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffFormat {
    /// Tables, what grew most first
    Text,
    /// The same for programs
    Json,
    /// A flame graph of two profiles: as wide as what is held now, red where it grew, blue where it shrank
    Svg,
}

/// Runs the verb.
pub(super) fn run(args: &DiffArgs) -> Result<(), Failure> {
    let (base, new) = (Moment::of(&args.base)?, Moment::of(&args.new)?);
    match (is_recording(&base.file)?, is_recording(&new.file)?) {
        (true, true) => recordings::run(args, &base, &new),
        (false, false) => profiles::run(args, &args.base, &args.new),
        (true, false) => Err(mixed(&base.file, &new.file)),
        (false, true) => Err(mixed(&new.file, &base.file)),
    }
}

/// By its first bytes. What is wrong with a recording is told when it is read.
fn is_recording(file: &Path) -> Result<bool, Failure> {
    match record::replay(file) {
        Err(RecordError::Foreign(_)) => Ok(false),
        Err(RecordError::Io { source, .. }) => Err(Failure::Usage {
            what: format!("open {}: {source}", file.display()),
            fix: "give two recordings, FILE or FILE@TIME, or two profiles".to_owned(),
        }),
        Ok(_) | Err(_) => Ok(true),
    }
}

fn mixed(recording: &Path, profile: &Path) -> Failure {
    let [recording, profile] = [recording, profile].map(|path| path.display().to_string());
    Failure::Usage {
        what: format!(
            "{recording} is a recording and {profile} is none: only like can be compared with like"
        ),
        fix: format!("leakwatch report {recording} -o pprof --output-file FILE makes a profile of its end"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::{DiffArgs, mixed};

    #[test]
    fn the_command_is_well_formed_and_its_help_is_known() {
        let mut command = DiffArgs::augment_args(Command::new("diff").term_width(100));
        command.clone().debug_assert();
        insta::assert_snapshot!("help", command.render_long_help());
    }

    #[test]
    fn unlike_files_are_named() {
        let said = mixed("a.lw".as_ref(), "b.folded".as_ref()).to_string();
        assert!(
            said.contains("a.lw is a recording and b.folded is none")
                && said.contains("fix: leakwatch report a.lw")
        );
    }
}
