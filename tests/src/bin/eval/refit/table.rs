//! Weights beside each other, and what they come to.

use leakwatch::detect::weights as present;
use leakwatch_tests::markdown::Table;

use super::{Fit, Model, PRIOR, at_present};
use crate::{
    case::Pace,
    families::{Family, Group},
    score::{
        Judged, Tally,
        calibration::Calibration,
        numbers::{duration, spread},
        share_of_leaks,
    },
};

/// What each fit says of the families that it has not seen.
pub(super) fn held_out(families: &[Family], judged: &[Judged], fits: &[(&str, &Fit)]) -> String {
    let mut table = Table::new(header("weights"));
    for (name, fit) in fits {
        table.row(row(name, families, judged, fit));
    }
    table.render()
}

/// What the present weights say when one reason counts for nothing.
pub(super) fn left_out(families: &[Family], judged: &[Judged]) -> String {
    let mut table = Table::new(header("reason left out"));
    for (index, (name, _)) in present().enumerate().filter(|&(_, (name, _))| name != PRIOR) {
        let without = Fit::new(families, judged, |_| {
            let mut weights = at_present();
            weights[index] = 0.0;
            Model::plain(weights)
        });
        table.row(row(name, families, judged, &without));
    }
    table.render()
}

fn header(first: &str) -> Vec<String> {
    let mut header: Vec<String> = [first, "precision", "recall", "false/process-day"]
        .map(str::to_owned)
        .to_vec();
    header.extend(Pace::ALL.map(|pace| format!("delay p50 / p95, sites, {}", pace.name())));
    header.extend(["calibration error", "Brier score"].map(str::to_owned));
    header
}

fn row(name: &str, families: &[Family], judged: &[Judged], fit: &Fit) -> Vec<String> {
    let mut tally = Tally::default();
    let mut delays = Vec::new();
    for judged in judged {
        let alarm = fit.held_out(families, judged).alarm(&judged.leakwatch.testimony);
        tally.add(judged, alarm);
        if judged.group == Group::Stream {
            delays.extend(judged.delay(alarm).zip(judged.pace));
        }
    }
    let mut row = vec![
        name.to_owned(),
        format!("{:.3}", tally.precision()),
        format!("{:.3}", tally.recall()),
        format!("{:.4}", tally.false_alarms_per_day()),
    ];
    row.extend(Pace::ALL.map(|pace| {
        let of = delays.iter().filter(|(_, of)| *of == pace);
        let of: Vec<f64> = of.map(|(delay, _)| *delay).collect();
        spread(&of, 0.95, duration)
    }));
    let calibration = calibration(families, judged, fit);
    row.push(format!("{:.3}", calibration.error()));
    row.push(format!("{:.3}", calibration.brier()));
    row
}

/// Claims with the share of leaks among the cases as the prior.
fn calibration(families: &[Family], judged: &[Judged], fit: &Fit) -> Calibration {
    let share = share_of_leaks(judged);
    Calibration::of(judged.iter().flat_map(|judged| {
        let model = fit.held_out(families, judged);
        judged.leakwatch.claims.iter().map(move |claim| {
            // What was said before keeps a claim up whatever the weights are.
            let odds = if claim.is_kept {
                claim.log_odds().max(model.log_odds(&claim.reasons))
            } else {
                model.log_odds(&claim.reasons)
            };
            (share.probability(odds), claim.leaks, 1.0)
        })
    }))
}

/// The tables of weights, and how far each moves when one family is left out.
pub(super) fn weights(judged: &[Judged], fits: &[(&str, &Fit)]) -> String {
    let mut header = vec!["reason".to_owned(), "present".to_owned()];
    for (name, _) in fits {
        header.extend([format!("fitted on {name}"), "without one family".to_owned()]);
    }
    header.extend(["said of leaks".to_owned(), "of others".to_owned()]);
    let mut table = Table::new(header);
    for (index, (name, weight)) in present().enumerate() {
        let mut row = vec![name.to_owned(), format!("{weight:+.1}")];
        for (_, fit) in fits {
            let values = || fit.by_family.values().map(|model| model.weights[index]);
            let low = values().fold(f64::INFINITY, f64::min);
            let high = values().fold(f64::NEG_INFINITY, f64::max);
            row.push(format!("{:+.1}", fit.all.weights[index]));
            row.push(format!("{low:+.1} to {high:+.1}"));
        }
        let said = |leaky: bool| {
            let said = |judged: &&Judged| {
                let mut spells = judged.leakwatch.testimony.spells.iter();
                judged.is_leaky() == leaky
                    && spells.any(|spell| spell.reasons.0.iter().any(|&(of, _)| of == index))
            };
            judged.iter().filter(said).count().to_string()
        };
        row.extend([said(true), said(false)]);
        table.row(row);
    }
    table.render()
}

pub(super) fn line(fit: &Fit) -> String {
    let times = || fit.by_family.values().map(|model| model.times);
    let offsets = || fit.by_family.values().map(|model| model.offset);
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    format!(
        "The line: {:+.2} {:+.2} times the sum; without one family {:+.2} to {:+.2} and {:+.2} to {:+.2}.\n",
        fit.all.offset,
        fit.all.times,
        least(&mut offsets()),
        most(&mut offsets()),
        least(&mut times()),
        most(&mut times()),
    )
}
