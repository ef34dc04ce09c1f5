//! Tables of what was added, and what became of the budgets.

use super::{
    Round,
    condition::{CONDITIONS, Condition},
};
use crate::{spread::Spread, table::Table, worker::Timing};

/// A traced call may cost so many times what an empty program costs.
const RATIO: f64 = 1.5;
/// An untraced call may cost so much more than with an empty program, nanoseconds.
const UNTRACED_NS: f64 = 5.0;

pub(super) fn render(rounds: &[Round]) -> String {
    let mut text = format!(
        "{} rounds; load average {} while they ran. `median [min..max]`, nanoseconds an operation; added: difference to \
         `nothing` in the same round; ratio: added, divided by what empty programs added in the same round.\n\n",
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
    first.map_or_else(Vec::new, |(_, timings)| timings.clone())
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
            if !matches!(condition, Condition::Nothing | Condition::Empty) {
                row.push(spread(ratios(rounds, condition, &operation), 2));
            }
            table.row(row);
        }
    }
    table.render()
}

fn decimals(condition: Condition) -> usize {
    usize::from(condition != Condition::Strace)
}

fn ratios<'a>(
    rounds: &'a [Round],
    condition: Condition,
    operation: &'a str,
) -> impl Iterator<Item = f64> + 'a {
    rounds.iter().filter_map(move |round| {
        Some(round.added(condition, operation)? / round.added(Condition::Empty, operation)?)
    })
}

fn budgets(rounds: &[Round]) -> String {
    let mut table = Table::new(["budget", "allowed", "measured", ""]);
    let added = |condition, operation: &str| {
        let values = rounds
            .iter()
            .filter_map(|round| round.added(condition, operation));
        Spread::of(values).map(|spread| spread.median)
    };
    let quiet = Condition::LeakwatchNoStacks;
    for Timing {
        operation, traced, ..
    } in operations(rounds)
    {
        let (Some(ours), Some(empty), Some(bpftrace)) = (
            added(quiet, &operation),
            added(Condition::Empty, &operation),
            added(Condition::BpftraceExit, &operation),
        ) else {
            continue;
        };
        if !traced {
            table.row([
                format!("{operation}, added"),
                format!("empty's {empty:.1} + {UNTRACED_NS} ns"),
                format!("{ours:.1} ns"),
                verdict(ours, empty + UNTRACED_NS),
            ]);
            continue;
        }
        let ratio = Spread::of(ratios(rounds, quiet, &operation)).map_or(f64::NAN, |spread| spread.median);
        table.row([
            format!("{operation}, added, no stacks"),
            format!("{RATIO} x empty's"),
            format!("{ratio:.2} x"),
            verdict(ratio, RATIO),
        ]);
        table.row([
            format!("{operation}, added, no stacks"),
            format!("bpftrace's {bpftrace:.0} ns (exit)"),
            format!("{ours:.0} ns"),
            verdict(ours, bpftrace),
        ]);
    }
    table.render()
}

fn verdict(measured: f64, allowed: f64) -> String {
    if measured <= allowed {
        "met".to_owned()
    } else {
        format!("missed: {:.1} x", measured / allowed)
    }
}

fn spread(values: impl IntoIterator<Item = f64>, decimals: usize) -> String {
    Spread::of(values).map_or_else(|| "-".to_owned(), |spread| spread.show(decimals))
}
