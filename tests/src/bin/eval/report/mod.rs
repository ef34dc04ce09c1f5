//! The results as Markdown.

mod calibration;
mod comparison;
mod families;
mod forecasts;
mod targets;
mod wrong;

pub(crate) use self::wrong::wrong;

use std::fmt::Write as _;

use crate::{
    families::{Family, Group},
    score::Judged,
};

/// All results together.
pub(crate) fn render(families: &[Family], judged: &[Judged]) -> String {
    let days: f64 = judged.iter().map(|judged| judged.seconds / 86_400.0).sum();
    let sections = [
        ("Targets", targets::render(families, judged)),
        (
            "Levels over a day and call sites over two hours",
            comparison::render(families, judged, None),
        ),
        (
            "Levels over a day: memory",
            comparison::render(families, judged, Some(Group::Curve)),
        ),
        (
            "Call sites over two hours: descriptors, threads, mappings",
            comparison::render(families, judged, Some(Group::Stream)),
        ),
        ("Time to the limit", forecasts::render(judged)),
        ("Calibration", calibration::render(judged)),
        ("Leakwatch by resource", families::by_thing(judged)),
        ("Leakwatch by family", families::by_family(families, judged)),
    ];
    let mut text = format!(
        "{} cases of {} families, {days:.0} process-days.\n",
        judged.len(),
        families.len()
    );
    for (heading, section) in sections {
        // Writing to a String does not fail.
        let _ = write!(text, "\n### {heading}\n\n{section}");
    }
    text
}
