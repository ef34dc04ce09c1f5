//! Two profiles that `leakwatch report` wrote.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::{DiffArgs, DiffFormat};
use crate::cli::{Failure, output::Output};
use crate::present::profile::{self, Profile, diff::Diff, svg};

/// Bytes that a profile may have; thousands of processes take less.
const MAX_BYTES: u64 = 64 << 20;

/// Compares them.
pub(super) fn run(args: &DiffArgs, base: &Path, new: &Path) -> Result<(), Failure> {
    let diff = Diff::between(&read(base)?, &read(new)?).map_err(|error| Failure::Usage {
        what: format!("{} and {}: {error}", base.display(), new.display()),
        fix: "write both with the same --resource".to_owned(),
    })?;
    let output = Output::open(args.output_file.as_deref(), false)?;
    let mut document = Vec::new();
    match args.output {
        DiffFormat::Text => diff.write_table(&mut document),
        DiffFormat::Json => diff.write_json(&mut document),
        DiffFormat::Svg => {
            document = svg::of_diff(&diff).into_bytes();
            Ok(())
        }
    }
    .map_err(|error| Failure::output(&error))?;
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
