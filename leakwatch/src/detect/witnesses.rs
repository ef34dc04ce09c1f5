//! What the detectors of one level say as witnesses: its floor, its survivors, and how near its limit is.

use super::{
    evidence::{Case, Reason, Stand, Witness},
    exhaustion::Forecast,
    floor::Floor,
    survival::Survivals,
};
use crate::model::finding::Resource;
use leakwatch_common::kind::Kind;

/// What never gave anything back is given so long to do it, seconds, unless its limit is reached as soon or so much of it is
/// overdue.
pub(super) const FIRST_CYCLE: f64 = 600.0;
/// Pages come and go all the time, so of memory it is not asked what was ever given back, but for how long the oldest that is
/// overdue has been held: collectors of garbage leave it for up to a quarter of an hour, seconds. Batches hold what they gathered
/// for longer, and nothing tells one from a leak before it ends: waiting costs nothing while more time is left to the limit than
/// has passed, but an hour is enough.
const COLLECTION: f64 = 900.0;
const LONG_COLLECTION: f64 = 3_600.0;

impl Witness for Floor {
    fn testify(&self, _: &Stand, case: &mut Case) {
        let Some(climb) = self.sustained() else {
            return;
        };
        let hours = climb.age / 3_600.0;
        case.add(
            Reason::Climb,
            format!("its floor has climbed straight for {hours:.1} hours"),
        );
        let doublings = hours.log2().floor().clamp(0.0, 3.0);
        if doublings >= 1.0 {
            let text = format!("that is {doublings} times twice an hour");
            case.add_times(Reason::LongClimb, doublings, text);
        }
    }
}

impl Witness for Survivals {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        let Some(best) = self.found().first().filter(|best| best.passed) else {
            return;
        };
        let text = format!(
            "{} {} older than {:.0} s are still held; {} of 8 generations have some",
            best.overdue,
            best.kind.name(),
            best.beyond_ns as f64 / 1e9,
            best.generations
        );
        case.add(Reason::Survival, text);
        if best.turns_over {
            let place = if best.stack.is_some() {
                "the same place"
            } else {
                "the same places"
            };
            let text = format!(
                "{place} gave back {} others; kept {:.1} %",
                best.closed,
                100.0 * best.share
            );
            case.add(Reason::Turnover, text);
        }
        let since = |then_ns| stand.now_ns.saturating_sub(then_ns) as f64 / 1e9;
        let (began, oldest) = (since(best.began_ns), since(best.oldest_ns));
        if best.kind == Kind::FirstTouch {
            let patience = stand.time_left.clamp(COLLECTION, LONG_COLLECTION);
            if oldest < patience && stand.can_wait {
                let text = format!("the oldest is {oldest:.0} s old and may be garbage to be collected");
                case.add(Reason::FirstCycle, text);
            }
        } else if best.closed == 0 && began < FIRST_CYCLE && stand.can_wait {
            let text = format!("seen for {began:.0} s: it may still give back all at once");
            case.add(Reason::FirstCycle, text);
        }
        let enough = stand.overdue >= stand.enough;
        let amount = in_words(stand.resource, stand.overdue);
        if enough {
            case.add(Reason::Amount, format!("{amount} overdue"));
        } else {
            case.add(Reason::Few, format!("only {amount} overdue"));
        }
    }
}

impl Witness for Forecast {
    fn testify(&self, _: &Stand, case: &mut Case) {
        if self.exhausting
            && let Some(limit) = &self.limit
        {
            let used = 100.0 * limit.in_use as f64 / limit.value as f64;
            case.add(
                Reason::Exhausting,
                format!("{used:.0} % of {} is used, and rising", limit.name),
            );
        }
    }
}

fn in_words(resource: Resource, amount: f64) -> String {
    match resource {
        Resource::Memory => format!("{:.0} MiB", amount / f64::from(1 << 20)),
        Resource::Fd | Resource::Thread | Resource::Maps => format!("{amount:.0}"),
    }
}
