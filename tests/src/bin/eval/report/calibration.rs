//! What leakwatch claims beside what is true.

use std::fmt::Write as _;

use leakwatch_tests::markdown::Table;

use crate::score::{Judged, calibration::Calibration, share_of_leaks};

/// Processes that leak, for one that does not, in the field.
const FIELD: f64 = 1.0 / 999.0;

/// Claims as they are made: for a field in which one process in a thousand leaks.
pub(super) fn of(judged: &[Judged]) -> Calibration {
    weighed(judged, 1.0)
}

/// The same claims by somebody who knows how many of these cases leak.
pub(super) fn at_base_rate(judged: &[Judged]) -> Calibration {
    let share = share_of_leaks(judged);
    let claims = judged.iter().flat_map(|judged| &judged.leakwatch.claims);
    Calibration::of(claims.map(|claim| (share.probability(claim.log_odds()), claim.leaks, 1.0)))
}

/// As they are made, with the claims about leaky cases counting so many times.
fn weighed(judged: &[Judged], leaky: f64) -> Calibration {
    Calibration::of(judged.iter().flat_map(|judged| {
        let weight = if judged.is_leaky() { leaky } else { 1.0 };
        let claims = judged.leakwatch.claims.iter();
        claims.map(move |claim| (claim.confidence, claim.leaks, weight))
    }))
}

pub(super) fn render(judged: &[Judged]) -> String {
    let calibration = of(judged);
    let mut table = Table::new(["confidence", "claims", "mean confidence", "were leaks"]);
    for (index, bin) in calibration.bins.iter().enumerate() {
        let mean = |sum: f64| {
            if bin.count > 0.0 {
                format!("{:.3}", sum / bin.count)
            } else {
                "-".to_owned()
            }
        };
        table.row([
            format!("{:.1}-{:.1}", index as f64 / 10.0, (index + 1) as f64 / 10.0),
            bin.count.to_string(),
            mean(bin.claimed),
            mean(bin.held),
        ]);
    }
    let mut text = table.render();
    let leaky = judged.iter().filter(|judged| judged.is_leaky()).count().max(1) as f64;
    let rare = weighed(judged, FIELD * (judged.len() as f64 - leaky) / leaky);
    let informed = at_base_rate(judged);
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "\nExpected calibration error {:.3}, Brier score {:.3}, of {} claims at `growing` and above. A confidence is for a \
         field in which one process in a thousand leaks; here one case of {:.1} does. With that in place of the prior and the \
         same evidence the error is {:.3} and the score {:.3}. With the claims about leaky cases weighed down to one in a \
         thousand they are {:.3} and {:.3}.",
        calibration.error(),
        calibration.brier(),
        calibration.count(),
        judged.len() as f64 / leaky,
        informed.error(),
        informed.brier(),
        rare.error(),
        rare.brier()
    );
    text
}
