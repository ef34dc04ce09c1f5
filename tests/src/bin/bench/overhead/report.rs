//! Tables of what was added, and what became of the budgets.

use super::{
    Round,
    condition::{CONDITIONS, Condition},
};
use leakwatch_tests::markdown::Table;

use crate::{spread::Spread, worker::Timing};

/// A traced call may cost so many times what an empty program costs.
const RATIO: f64 = 1.5;
/// An untraced call may cost so much more than with an empty program, nanoseconds.
const UNTRACED_NS: f64 = 5.0;

pub(super) fn render(rounds: &[Round]) -> String {
    let mut text = format!(
        "{} rounds; load average {} while they ran. `median [min..max]`, nanoseconds an operation; added: difference to \
         `nothing` in the same round; ratio: median added, divided by the median that empty programs added.\n\n",
        rounds.len(),
        spread(rounds.iter().map(|round| round.load_average), 1),
    );
    text += &times(rounds);
    text += "\n";
    text += &budgets(rounds);
    text
}

fn operations(rounds: &[Round]) -> Vec<Timing> {
    let first = rounds.first().and_then(|round| round.timings.first());
    first
        .and_then(|(_, loads)| loads.first())
        .cloned()
        .unwrap_or_default()
}

fn times(rounds: &[Round]) -> String {
    let mut table = Table::new(["operation", "watched by", "ns", "added", "ratio"]);
    for Timing { operation, .. } in operations(rounds) {
        for condition in CONDITIONS {
            let ns = rounds.iter().filter_map(|round| round.ns(condition, &operation));
            let mut row = vec![
                operation.clone(),
                condition.name().to_owned(),
                spread(ns, decimals(condition)),
            ];
            if condition != Condition::Nothing {
                let added = rounds
                    .iter()
                    .filter_map(|round| round.added(condition, &operation));
                row.push(spread(added, decimals(condition)));
            }
            let median = |of| added(rounds, of, &operation);
            if let (Some(added), Some(empty)) = (median(condition), median(Condition::Empty))
                && !matches!(condition, Condition::Nothing | Condition::Empty)
            {
                row.push(format!("{:.2}", added / empty));
            }
            table.row(row);
        }
    }
    table.render()
}

fn decimals(condition: Condition) -> usize {
    usize::from(condition != Condition::Strace)
}

/// Median that the condition adds to one operation, nanoseconds.
fn added(rounds: &[Round], condition: Condition, operation: &str) -> Option<f64> {
    let values = rounds
        .iter()
        .filter_map(|round| round.added(condition, operation));
    Some(Spread::of(values)?.median)
}

fn budgets(rounds: &[Round]) -> String {
    let mut table = Table::new(["budget: ns added", "at most", "ns", "measured", ""]);
    for Timing {
        operation, traced, ..
    } in operations(rounds)
    {
        let median = |condition| added(rounds, condition, &operation);
        let (Some(ours), Some(empty), Some(bpftrace)) = (
            median(Condition::LeakwatchNoStacks),
            median(Condition::Empty),
            median(Condition::BpftraceExit),
        ) else {
            continue;
        };
        let limits = if traced {
            vec![
                (format!("{RATIO} x empty's {empty:.0}"), RATIO * empty),
                ("bpftrace's, exit".to_owned(), bpftrace),
            ]
        } else {
            vec![(format!("empty's {empty:.0} + {UNTRACED_NS}"), empty + UNTRACED_NS)]
        };
        for (name, limit) in limits {
            table.row([
                format!("{operation}, no stacks"),
                name,
                format!("{limit:.0}"),
                format!("{ours:.0}"),
                verdict(ours, limit),
            ]);
        }
    }
    table.render()
}

fn verdict(ours: f64, limit: f64) -> String {
    if ours <= limit {
        "met".to_owned()
    } else {
        format!("missed by {:.0}", ours - limit)
    }
}

fn spread(values: impl IntoIterator<Item = f64>, decimals: usize) -> String {
    Spread::of(values).map_or_else(|| "-".to_owned(), |spread| spread.show(decimals))
}
