//! Which groups get series of their own when there are more than the cap.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use super::group::{Group, GroupKey};

/// A series that comes and goes resets the `for` of every alert on it, so a group stays this long after it was admitted,
/// after it was last urgent, and after its last process exited.
const HOLD_NS: u64 = 15 * 60 * 1_000_000_000;

/// Admission over time. The slot of a group whose processes exited stays taken for [`HOLD_NS`]: a host that runs a
/// thousand differently named short jobs an hour costs Prometheus the cap, not a thousand label sets.
#[derive(Debug)]
pub(super) struct Admission {
    max_groups: usize,
    slots: HashMap<GroupKey, Slot>,
    folded_total: u64,
    last_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    held_until_ns: u64,
    last_seen_ns: u64,
}

/// Who goes first; the order of the variants is the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Urgent,
    Held,
    Ordinary,
}

impl Admission {
    pub(super) fn new(max_groups: usize) -> Self {
        Self {
            max_groups,
            slots: HashMap::new(),
            folded_total: 0,
            last_ns: None,
        }
    }

    /// Groups that got no series of their own, counted once for every distinct `now_ns`.
    pub(super) fn folded_total(&self) -> u64 {
        self.folded_total
    }

    /// Keeps at most `max_groups` of `groups` and appends one with the sums of the others, if there are any. `now_ns`
    /// never goes back.
    ///
    /// Urgent groups come first, then those within their hold, then the largest. So a group beyond the cap that starts
    /// to leak is seen at once, at the expense of a vanished or the smallest held one.
    pub(super) fn admit(&mut self, groups: Vec<Group>, now_ns: u64) -> Vec<Group> {
        self.mark_seen(&groups, now_ns);
        let admitted = self.choose(&groups, now_ns);
        let (mut kept, folded): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| admitted.contains(&group.key));
        self.settle(&kept, &admitted, now_ns);
        if self.last_ns.replace(now_ns) != Some(now_ns) {
            self.folded_total += folded.len() as u64;
        }
        if !folded.is_empty() {
            let mut other = Group::empty(GroupKey::other());
            for group in &folded {
                other.fold(group);
            }
            kept.push(other);
        }
        kept
    }

    fn mark_seen(&mut self, groups: &[Group], now_ns: u64) {
        for group in groups {
            if let Some(slot) = self.slots.get_mut(&group.key) {
                slot.last_seen_ns = now_ns;
            }
        }
        self.slots.retain(|_, slot| now_ns < slot.last_seen_ns + HOLD_NS);
    }

    fn choose(&self, groups: &[Group], now_ns: u64) -> HashSet<GroupKey> {
        let present: HashSet<&GroupKey> = groups.iter().map(|group| &group.key).collect();
        let vanished = self.slots.keys().filter(|key| !present.contains(key));
        let mut ranked: Vec<(Class, Reverse<u64>, bool, &GroupKey)> = groups
            .iter()
            .map(|group| {
                let slot = self.slots.get(&group.key);
                (
                    self.class(group, now_ns),
                    Reverse(group.held_bytes()),
                    slot.is_none(),
                    &group.key,
                )
            })
            .chain(vanished.map(|key| (Class::Held, Reverse(0), false, key)))
            .collect();
        ranked.sort_unstable();
        ranked.truncate(self.max_groups);
        ranked.into_iter().map(|(.., key)| key.clone()).collect()
    }

    fn class(&self, group: &Group, now_ns: u64) -> Class {
        if group.is_urgent() {
            return Class::Urgent;
        }
        match self.slots.get(&group.key) {
            Some(slot) if now_ns < slot.held_until_ns => Class::Held,
            _ => Class::Ordinary,
        }
    }

    fn settle(&mut self, kept: &[Group], admitted: &HashSet<GroupKey>, now_ns: u64) {
        self.slots.retain(|key, _| admitted.contains(key));
        let renewed = Slot {
            held_until_ns: now_ns + HOLD_NS,
            last_seen_ns: now_ns,
        };
        for group in kept {
            let slot = self.slots.entry(group.key.clone()).or_insert(renewed);
            if group.is_urgent() {
                *slot = renewed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{Admission, HOLD_NS};
    use crate::present::metrics::group::{Group, GroupKey, OTHER};

    const MINUTE: u64 = HOLD_NS / 15;

    fn sized(name: &str, bytes: u64) -> Group {
        let key = GroupKey {
            process: name.to_owned(),
            container: String::new(),
        };
        Group {
            processes: 1,
            rss_anon_bytes: bytes,
            ..Group::empty(key)
        }
    }

    fn growing(name: &str, bytes: u64) -> Group {
        Group {
            growing: 1,
            ..sized(name, bytes)
        }
    }

    fn names(groups: &[Group]) -> Vec<&str> {
        groups.iter().map(|group| group.key.process.as_str()).collect()
    }

    #[test]
    fn below_the_cap_all_pass_and_nothing_is_folded() {
        let mut admission = Admission::new(2);
        assert_eq!(
            names(&admission.admit(vec![sized("a", 1), sized("b", 2)], 0)),
            ["a", "b"]
        );
        assert_eq!(admission.folded_total(), 0);
    }

    #[test]
    fn beyond_the_cap_the_largest_pass_and_the_rest_is_summed() {
        let mut admission = Admission::new(1);
        let rows = admission.admit(vec![sized("a", 1), sized("b", 5), sized("c", 2)], 0);
        assert_eq!(names(&rows), ["b", OTHER]);
        assert_eq!((rows[1].processes, rows[1].rss_anon_bytes), (2, 3));
        assert_eq!(admission.folded_total(), 2);
    }

    #[test]
    fn one_snapshot_scraped_twice_counts_once() {
        let mut admission = Admission::new(1);
        for now in [7, 7, 8] {
            admission.admit(vec![sized("a", 1), sized("b", 2)], now);
        }
        assert_eq!(admission.folded_total(), 2);
    }

    #[test]
    fn an_admitted_group_keeps_its_slot_for_the_hold_and_no_longer() {
        let mut admission = Admission::new(1);
        admission.admit(vec![sized("a", 1)], 0);
        let both = || vec![sized("a", 1), sized("b", 9)];
        assert_eq!(names(&admission.admit(both(), HOLD_NS - 1)), ["a", OTHER]);
        assert_eq!(names(&admission.admit(both(), HOLD_NS)), ["b", OTHER]);
    }

    #[test]
    fn a_growing_group_gets_in_at_once_and_stays_for_the_hold_after_it_stopped() {
        let mut admission = Admission::new(1);
        admission.admit(vec![sized("big", 9)], 0);
        assert_eq!(
            names(&admission.admit(vec![sized("big", 9), growing("leak", 1)], MINUTE)),
            ["leak", OTHER]
        );
        let calm = || vec![sized("big", 9), sized("leak", 1)];
        assert_eq!(names(&admission.admit(calm(), 15 * MINUTE)), ["leak", OTHER]);
        assert_eq!(names(&admission.admit(calm(), 16 * MINUTE)), ["big", OTHER]);
    }

    #[test]
    fn a_vanished_group_has_no_row_but_keeps_its_slot_for_the_hold() {
        let mut admission = Admission::new(1);
        admission.admit(vec![sized("job1", 1)], 0);
        assert_eq!(names(&admission.admit(vec![sized("job2", 1)], MINUTE)), [OTHER]);
        assert_eq!(
            names(&admission.admit(vec![sized("job1", 1)], 2 * MINUTE)),
            ["job1"]
        );
        assert_eq!(
            names(&admission.admit(vec![sized("job2", 1)], 17 * MINUTE)),
            ["job2"]
        );
    }

    proptest! {
        #[test]
        fn the_cap_holds_and_no_process_is_lost(
            max_groups in 0_usize..6,
            ticks in prop::collection::vec(
                (0..20 * MINUTE, prop::collection::btree_map("[a-h]", (0_u64..100, any::<bool>()), 0..8)),
                1..12,
            ),
        ) {
            let mut admission = Admission::new(max_groups);
            let mut now = 0;
            for (step, groups) in ticks {
                now += step;
                let groups: Vec<Group> = groups
                    .into_iter()
                    .map(|(name, (bytes, grows))| if grows { growing(&name, bytes) } else { sized(&name, bytes) })
                    .collect();
                let bytes: u64 = groups.iter().map(Group::held_bytes).sum();
                let processes = groups.len() as u64;
                let rows = admission.admit(groups, now);
                prop_assert!(rows.iter().filter(|row| row.key.process != OTHER).count() <= max_groups);
                prop_assert!(admission.slots.len() <= max_groups);
                prop_assert_eq!(rows.iter().map(|row| row.processes).sum::<u64>(), processes);
                prop_assert_eq!(rows.iter().map(Group::held_bytes).sum::<u64>(), bytes);
            }
        }
    }
}
