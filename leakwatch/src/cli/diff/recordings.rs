//! Two recordings, or two moments of one.

use std::io;

use super::{
    DiffArgs, DiffFormat,
    moment::{Moment, When},
};
use crate::cli::{Failure, output::Output, replay};
use crate::model::snapshot::Snapshot;
use crate::present::{recording::compare::Comparison, report::comparison as report};

/// Compares them.
pub(super) fn run(args: &DiffArgs, base: &Moment, new: &Moment) -> Result<(), Failure> {
    let write: fn(&Comparison, &mut dyn io::Write) -> io::Result<()> = match args.output {
        DiffFormat::Text => report::text,
        DiffFormat::Json => report::json,
        DiffFormat::Svg => {
            return Err(Failure::Usage {
                what: "flame graphs are drawn of profiles, and these are recordings".to_owned(),
                fix: "leakwatch report FILE -o pprof --output-file PROFILE of each, and then: leakwatch diff"
                    .to_owned(),
            });
        }
    };
    if base == new {
        let file = base.file.display();
        return Err(Failure::Usage {
            what: format!("both are the same moment of {file}"),
            fix: format!("leakwatch diff {file}@start {file}@end"),
        });
    }
    let output = Output::open(args.output_file.as_deref(), false)?;
    let comparison = Comparison::between(&snapshot(base)?, &snapshot(new)?);
    let mut document = Vec::new();
    write(&comparison, &mut document).map_err(|error| Failure::output(&error))?;
    output.write(&document)
}

fn snapshot(moment: &Moment) -> Result<Snapshot, Failure> {
    let mut readings = replay::open(&moment.file)?;
    let mut began_ns = None;
    let mut found: Option<Snapshot> = None;
    for snapshot in &mut readings {
        let snapshot = snapshot.map_err(|error| replay::failed(&moment.file, &error))?;
        let began_ns = *began_ns.get_or_insert(snapshot.uptime_ns);
        let elapsed_ns = u128::from(snapshot.uptime_ns.saturating_sub(began_ns));
        let is_later = matches!(moment.when, When::After(wanted) if elapsed_ns > wanted.as_nanos());
        match found {
            Some(before) if is_later => return Ok(before),
            _ => found = Some(snapshot),
        }
    }
    replay::tell(&readings);
    if let (When::After(wanted), Some(last)) = (moment.when, &found) {
        let length_ns = u128::from(last.uptime_ns.saturating_sub(began_ns.unwrap_or(0)));
        if wanted.as_nanos() > length_ns {
            eprintln!("{} is shorter than that: its end is taken", moment.file.display());
        }
    }
    found.ok_or_else(|| nothing(moment))
}

fn nothing(moment: &Moment) -> Failure {
    Failure::because(format!("{}: there is no reading in it", moment.file.display()))
}
