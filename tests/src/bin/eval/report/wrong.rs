//! Cases that leakwatch got wrong, one by one.

use std::fmt::Write as _;

use crate::{
    families::Family,
    score::{Judged, numbers::duration},
};

/// Misses and false alarms, with what was said when leakwatch was surest.
pub(crate) fn wrong(families: &[Family], judged: &[Judged]) -> String {
    let mut text = String::new();
    for judged in judged {
        let said = &judged.leakwatch;
        let found = judged.delay(said.leaking).is_some();
        let what = match (judged.is_leaky(), said.leaking) {
            (true, _) if found => continue,
            (false, None) => continue,
            (true, None) => "missed",
            (_, Some(_)) => "false alarm",
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{what}: {}, case {} ({}, {:?}, {}; watched {})",
            families[judged.family].name,
            judged.number,
            judged.thing.name(),
            judged.truth,
            judged.pace.map_or("no leak", |pace| pace.name()),
            duration(judged.seconds)
        );
        if let Some(at) = said.leaking {
            let _ = writeln!(text, "    `leaking` at {}", duration(at));
        }
        let Some((at, surest)) = &said.surest else {
            text += "    nothing was said\n";
            continue;
        };
        let _ = writeln!(
            text,
            "    surest at {}: {} {:.3}, {} of {}, class {:?}",
            duration(*at),
            surest.verdict.name(),
            surest.confidence,
            surest.kind,
            surest.resource.name(),
            surest.class
        );
        for evidence in &surest.evidence {
            let _ = writeln!(
                text,
                "    {:+5.1} {}: {}",
                evidence.log_odds, evidence.name, evidence.text
            );
        }
    }
    text
}
