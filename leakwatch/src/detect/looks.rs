//! What closer looks at the overdue items of one resource showed, and when the next one is due.

use leakwatch_common::kind::Kind;

use super::evidence::{Case, Reason, Stand, Witness};
use crate::model::{
    confirm::{Confirmation, Wish},
    finding::Resource,
    identity::ProcessId,
};

/// A look counts for so long.
const FRESH_NS: u64 = 30 * 60 * SECOND_NS;
/// A wish that nobody answered is made anew after so long.
const PATIENCE_NS: u64 = 120 * SECOND_NS;
/// Looks are at least so far apart; those at memory cost the process something.
const APART_NS: u64 = 20 * SECOND_NS;
/// The next one comes sooner where the last one was taken before there was enough to look at.
const SOON_NS: u64 = 5 * SECOND_NS;
const MEMORY_APART_NS: u64 = 60 * SECOND_NS;
/// And not farther than that.
const MOST_APART_NS: u64 = 10 * 60 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

/// Items that have to be looked at to say something.
const LEAST: u32 = 16;
/// To say that they are stale.
const LEAST_STALE: u32 = 32;
/// Part of them that is stale, or in use, to count as all.
const STALE: f64 = 0.97;
const MOSTLY_STALE: f64 = 0.90;
const IN_USE: f64 = 0.20;
/// Part whose peer has closed, and part of the threads that wait in one place.
const CLOSED_BY_PEER: f64 = 0.9;
const ALIKE: f64 = 0.9;
/// Descriptors on one file, and the part of all that they are.
const SAME_FILE: u32 = 16;
const SAME_FILE_SHARE: f64 = 0.5;

/// Looks at one resource of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    asked: Option<(u64, Wish)>,
    last: Option<(u64, Confirmation)>,
}

impl Looks {
    /// What is wanted now: the same as long as it was not answered.
    pub(super) fn wish(
        &mut self,
        now_ns: u64,
        process: ProcessId,
        resource: Resource,
        overdue: Option<(Kind, &[u64])>,
    ) -> Option<&Wish> {
        if self
            .asked
            .as_ref()
            .is_some_and(|(asked_ns, _)| now_ns.saturating_sub(*asked_ns) > PATIENCE_NS)
        {
            self.asked = None;
        }
        if self.asked.is_none()
            && self.is_due(now_ns, resource)
            && let Some((kind, overdue)) = overdue
        {
            let mut items = overdue.to_vec();
            items.sort_unstable();
            items.dedup();
            let wish = Wish {
                process,
                resource,
                kind,
                items,
            };
            self.asked = Some((now_ns, wish));
        }
        self.asked.as_ref().map(|(_, wish)| wish)
    }

    fn is_due(&self, now_ns: u64, resource: Resource) -> bool {
        let Some((last_ns, last)) = &self.last else {
            return true;
        };
        let least = if resource == Resource::Memory {
            MEMORY_APART_NS
        } else if told(last) < LEAST_STALE {
            SOON_NS
        } else {
            APART_NS
        };
        // What is clear is looked at again to see whether it still is.
        let apart = if speaks(last) { MOST_APART_NS } else { least };
        now_ns.saturating_sub(*last_ns) >= apart
    }

    /// Takes an answer.
    pub(super) fn answer(&mut self, now_ns: u64, confirmation: &Confirmation) {
        self.asked = None;
        self.last = Some((now_ns, confirmation.clone()));
    }

    /// Whether the newest look has measured anything that speaks for a leak.
    pub(super) fn confirms(&self, now_ns: u64) -> bool {
        self.fresh(now_ns)
            .is_some_and(|look| !is_in_use(look) && (is_stale(look, MOSTLY_STALE) || shows_more(look)))
    }

    /// Whether the newest look showed more than that it is not used.
    pub(super) fn shows_more(&self, now_ns: u64) -> bool {
        self.fresh(now_ns)
            .is_some_and(|look| !is_in_use(look) && shows_more(look))
    }

    /// Whether the newest look showed that what is overdue is used.
    pub(super) fn contradicts(&self, stand: &Stand) -> bool {
        !stand.is_traced && self.fresh(stand.now_ns).is_some_and(is_in_use)
    }

    fn fresh(&self, now_ns: u64) -> Option<&Confirmation> {
        let (seen_ns, look) = self.last.as_ref()?;
        (now_ns.saturating_sub(*seen_ns) <= FRESH_NS && look.looked_at >= LEAST).then_some(look)
    }
}

impl Witness for Looks {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        let Some(look) = self.fresh(stand.now_ns) else {
            return;
        };
        let of = format!("of {} overdue ones looked at", look.looked_at);
        if is_in_use(look) {
            if !stand.is_traced {
                let text = format!("{} {of} were used between two looks", look.touched);
                case.add(Reason::Touched, text);
            }
            return;
        }
        if is_stale(look, MOSTLY_STALE) {
            let times = if is_stale(look, STALE) { 1.0 } else { 0.5 };
            let text = format!("{} {of} are not used", look.stale);
            case.add_times(Reason::Stale, times, text);
        }
        if is_closed_by_peer(look) {
            let text = format!(
                "{} {of} have lost their peer and are not closed by this side",
                look.close_wait
            );
            case.add(Reason::CloseWait, text);
        }
        if is_same_file(look) {
            let text = format!("{} {of} are the same file", look.same_file);
            case.add(Reason::SameFile, text);
        }
        if is_waiting_alike(look) {
            let text = format!("{} {of} wait in one place and did not run", look.waiting_alike);
            case.add(Reason::WaitingAlike, text);
        }
    }
}

/// So clear that the next look can wait.
fn speaks(look: &Confirmation) -> bool {
    !is_in_use(look) && (is_stale(look, STALE) || is_closed_by_peer(look) || is_same_file(look))
}

/// More than that it is not used.
fn shows_more(look: &Confirmation) -> bool {
    is_closed_by_peer(look) || is_same_file(look) || is_waiting_alike(look)
}

fn is_stale(look: &Confirmation, least: f64) -> bool {
    told(look) >= LEAST_STALE && part(look.stale, told(look)) >= least
}

fn is_closed_by_peer(look: &Confirmation) -> bool {
    part(look.close_wait, look.looked_at) >= CLOSED_BY_PEER
}

fn is_waiting_alike(look: &Confirmation) -> bool {
    part(look.waiting_alike, look.looked_at) >= ALIKE
}

fn is_in_use(look: &Confirmation) -> bool {
    part(look.touched, told(look)) >= IN_USE
}

fn is_same_file(look: &Confirmation) -> bool {
    look.same_file >= SAME_FILE && part(look.same_file, look.looked_at) >= SAME_FILE_SHARE
}

/// Items of which it can be told.
fn told(look: &Confirmation) -> u32 {
    look.stale.saturating_add(look.touched)
}

fn part(some: u32, all: u32) -> f64 {
    if all == 0 {
        0.0
    } else {
        f64::from(some) / f64::from(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Confirmation {
        Confirmation {
            process: ProcessId {
                pid: 1,
                start_time_ns: 0,
            },
            resource: Resource::Fd,
            kind: Kind::Socket,
            looked_at: 40,
            stale: 0,
            touched: 0,
            close_wait: 0,
            same_file: 0,
            waiting_alike: 0,
        }
    }

    #[test]
    fn a_look_at_few_is_soon_followed_by_another() {
        let is_due = |look: &Confirmation, second| {
            let mut looks = Looks::default();
            looks.answer(0, look);
            looks.is_due(second * SECOND_NS, Resource::Fd)
        };
        let few = Confirmation { stale: 16, ..look() };
        let used = Confirmation {
            stale: 30,
            touched: 10,
            ..look()
        };
        assert!(is_due(&few, 5) && !is_due(&few, 4));
        assert!(is_due(&used, 20) && !is_due(&used, 19));
        assert!(!is_due(&Confirmation { stale: 40, ..look() }, 599));
    }

    #[test]
    fn each_thing_that_a_look_may_show_confirms_unless_it_is_used() {
        let confirms = |look: &Confirmation| {
            let mut looks = Looks::default();
            looks.answer(0, look);
            looks.confirms(SECOND_NS)
        };
        assert!(!confirms(&look()));
        let shown = [
            Confirmation { stale: 40, ..look() },
            Confirmation {
                stale: 37,
                touched: 3,
                ..look()
            },
            Confirmation {
                close_wait: 38,
                ..look()
            },
            Confirmation {
                same_file: 32,
                ..look()
            },
            Confirmation {
                waiting_alike: 36,
                ..look()
            },
        ];
        for look in shown {
            assert!(confirms(&look), "{look:?}");
            let used = Confirmation {
                stale: 20,
                touched: 20,
                ..look
            };
            assert!(!confirms(&used), "{used:?}");
        }
    }
}
