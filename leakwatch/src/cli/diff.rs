//! `leakwatch diff`: what grew between two profiles.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Failure, output::Output};
use crate::present::profile::{self, Profile, diff::Diff, svg};

/// Says what grew between two profiles that `leakwatch report` wrote: before and after a load test, yesterday and today.
#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// The earlier profile, folded or pprof
    pub base: PathBuf,

    /// The later profile, folded or pprof
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
    /// A table by function, what grew most first
    Text,
    /// A flame graph: as wide as what is held now, red where it grew, blue where it shrank
    Svg,
}

/// Bytes that a profile may have; thousands of processes take less.
const MAX_BYTES: u64 = 64 << 20;

/// Runs the verb.
pub(super) fn run(args: &DiffArgs) -> Result<(), Failure> {
    let base = read(&args.base)?;
    let new = read(&args.new)?;
    let diff = Diff::between(&base, &new).map_err(|error| Failure::Usage {
        what: format!("{} and {}: {error}", args.base.display(), args.new.display()),
        fix: "write both with the same --resource".to_owned(),
    })?;
    let output = Output::open(args.output_file.as_deref(), false)?;
    let document = match args.output {
        DiffFormat::Text => {
            let mut table = Vec::new();
            diff.write_table(&mut table)
                .map_err(|error| Failure::output(&error))?;
            table
        }
        DiffFormat::Svg => svg::of_diff(&diff).into_bytes(),
    };
    if diff.by_function().is_empty() {
        eprintln!("nothing grew and nothing shrank");
    }
    output.write(&document)
}

fn read(path: &Path) -> Result<Profile, Failure> {
    bytes(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| profile::read(&bytes).map_err(|error| error.to_string()))
        .map_err(|why| Failure::Usage {
            what: format!("{} is no profile that can be compared: {why}", path.display()),
            fix: "write one: leakwatch report -p PID -o pprof --output-file FILE".to_owned(),
        })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("it is larger than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}
