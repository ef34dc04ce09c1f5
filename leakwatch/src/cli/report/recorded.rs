//! What a recording says.

use std::{collections::BTreeSet, path::Path};

use super::{ProfileFormat, ReportArgs, ReportFormat};
use crate::cli::{Failure, output::Output, replay};
use crate::present::{
    profile::Profile,
    recording::Recording,
    report::recording::{self as report, CsvWriter},
};

/// Writes a report on a recording. Of one that is damaged it tells what can be read, and then fails.
pub(super) fn run(args: &ReportArgs, file: &Path, format: ReportFormat) -> Result<(), Failure> {
    let is_binary = format.of_profile() == Some(ProfileFormat::Pprof);
    let pids: BTreeSet<u32> = args.pids.iter().copied().collect();
    let mut readings = replay::open(file)?;
    let output = Output::open(args.output_file.as_deref(), is_binary)?;
    let mut broken = None;
    if format == ReportFormat::Csv {
        let mut csv = CsvWriter::new(output.into_writer()?, pids);
        for snapshot in &mut readings {
            match snapshot {
                Ok(snapshot) => csv.write(&snapshot).map_err(|error| Failure::output(&error))?,
                Err(error) => broken = Some(replay::failed(file, &error)),
            }
        }
        csv.finish().map_err(|error| Failure::output(&error))?;
    } else {
        let mut recording = Recording::default();
        for snapshot in &mut readings {
            match snapshot {
                Ok(snapshot) => recording.add(snapshot),
                Err(error) => broken = Some(replay::failed(file, &error)),
            }
        }
        if recording.readings() == 0 {
            let nothing = format!("{}: there is no reading in it", file.display());
            return Err(broken.unwrap_or_else(|| Failure::because(nothing)));
        }
        output.write(&document(args, format, recording, &pids)?)?;
    }
    replay::tell(&readings);
    broken.map_or(Ok(()), Err)
}

fn document(
    args: &ReportArgs,
    format: ReportFormat,
    recording: Recording,
    pids: &BTreeSet<u32>,
) -> Result<Vec<u8>, Failure> {
    let recording = if pids.is_empty() {
        recording
    } else {
        chosen(recording, pids)?
    };
    if let (Some(format), Some(last)) = (format.of_profile(), recording.last()) {
        let pids = recording.courses().iter().map(|course| course.id.pid).collect();
        let profile = Profile::of(last, &pids, args.resource.into(), recording.length_ns());
        return Ok(format.document(&profile));
    }
    let write = match format {
        ReportFormat::Json => report::json,
        ReportFormat::Markdown => report::markdown,
        ReportFormat::Html => report::html,
        _ => report::text,
    };
    let mut document = Vec::new();
    write(&recording, &mut document).map_err(|error| Failure::output(&error))?;
    Ok(document)
}

fn chosen(recording: Recording, pids: &BTreeSet<u32>) -> Result<Recording, Failure> {
    let recording = recording.only(pids);
    if recording.courses().is_empty() {
        return Err(Failure::Usage {
            what: "none of these processes is in the recording".to_owned(),
            fix: "see who is: leakwatch report FILE -o csv".to_owned(),
        });
    }
    Ok(recording)
}
