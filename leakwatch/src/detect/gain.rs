//! How much of a rise is overdue, and how much would be no accident.

use super::{
    bank::{Bank, NOW, NOW_SECONDS},
    floor::{Stakes, floor_at},
    survival::Survival,
};
use crate::model::finding::Resource;

/// The level has to have risen by this part of what survives, or deaths were missed.
const RISEN: f64 = 0.5;

/// What a level gained since its survivors began to be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gain {
    /// It rose as its survivors say.
    pub(super) risen: bool,
    /// What is overdue, and how much of it is no accident, in units of the resource.
    pub(super) overdue: f64,
    pub(super) enough: f64,
}

impl Gain {
    /// By the floors of a level that is `level` now.
    pub(super) fn of(
        bank: &Bank,
        now_ns: u64,
        level: u64,
        resource: Resource,
        survivors: Option<&Survival>,
        stakes: &Stakes,
    ) -> Self {
        let Some(survivors) = survivors else {
            return Self {
                risen: false,
                overdue: 0.0,
                enough: stakes.overdue,
            };
        };
        let history = bank.history(NOW);
        let now = bank.seconds(now_ns);
        let at = |then_ns: u64| now - now_ns.saturating_sub(then_ns) as f64 / 1e9;
        let floor = history.last().map_or(level as f64, |last| last.floor);
        let gained = |since: f64| (floor - floor_at(&history, since)).max(0.0);

        let since = at(survivors.since_ns);
        let rise = gained(since);
        // The newest floor is some seconds old, and what was gained was gained until then.
        let until = history.last().map_or(now, |last| last.at);
        let overdue = gained(at(survivors.oldest_ns));
        Self {
            risen: match resource {
                Resource::Memory => rise >= stakes.quantum,
                Resource::Fd | Resource::Thread | Resource::Maps => rise >= RISEN * survivors.held as f64,
            },
            overdue: match resource {
                // Of pages it is known how many they are, and not of how many bytes each stands for.
                Resource::Memory => overdue,
                Resource::Fd | Resource::Thread | Resource::Maps => overdue.min(survivors.overdue as f64),
            },
            enough: stakes.enough(resource, rise / (until - since).max(NOW_SECONDS)),
        }
    }
}
