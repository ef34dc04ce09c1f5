//! What leakwatch claims beside what is true.

use std::fmt::Write as _;

use leakwatch_tests::markdown::Table;

use crate::score::{Judged, calibration::Calibration};

/// Processes that leak, for one that does not, in the field.
const FIELD: f64 = 1.0 / 999.0;

pub(super) fn of(judged: &[Judged]) -> Calibration {
    weighed(judged, 1.0)
}

/// The same with the claims about leaky cases counting so many times.
fn weighed(judged: &[Judged], leaky: f64) -> Calibration {
    Calibration::of(judged.iter().flat_map(|judged| {
        let weight = if judged.is_leaky() { leaky } else { 1.0 };
        let claims = judged.leakwatch.claims.iter();
        claims.map(move |&(confidence, holds)| (confidence, holds, weight))
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
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "\nExpected calibration error {:.3}, Brier score {:.3}, of {} claims at `growing` and above. Here one case of {:.1} \
         leaks. Were it one in a thousand, as the prior has it, the error would be {:.3} and the score {:.3}.",
        calibration.error(),
        calibration.brier(),
        calibration.count(),
        judged.len() as f64 / leaky,
        rare.error(),
        rare.brier()
    );
    text
}
