//! Which processes are shown, in which order: one answer for the screen and for every report.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{filter::Filter, sort::Sort};
use crate::model::{
    finding::Finding,
    identity::ProcessId,
    snapshot::{ProcessRow, Snapshot},
};

/// What to show of a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSelection {
    /// Only these processes; everyone when empty.
    pub pids: BTreeSet<u32>,
    /// Only those that match.
    pub filter: Filter,
    /// Their order; among siblings, when shown as a tree.
    pub sort: Sort,
    /// Children below their parents.
    pub tree: bool,
    /// Processes whose children are not shown.
    pub collapsed: HashSet<ProcessId>,
}

/// A process in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into [`Snapshot::processes`].
    pub index: usize,
    /// Ancestors shown above it; 0 when not a tree.
    pub depth: usize,
    /// Whether it has children in the tree, shown or collapsed.
    pub parent: bool,
}

/// The findings about these rows; when every process is shown, also those about processes that have ended.
pub fn findings<'a>(snapshot: &'a Snapshot, rows: &[Row]) -> impl Iterator<Item = &'a Finding> {
    let shown: HashSet<ProcessId> = rows.iter().map(|row| snapshot.processes[row.index].id).collect();
    let all = shown.len() == snapshot.processes.len();
    let findings = snapshot.findings.iter();
    findings.filter(move |finding| all || shown.contains(&finding.id()))
}

impl RowSelection {
    /// Whether the process is among those to show.
    pub fn shows(&self, process: &ProcessRow) -> bool {
        (self.pids.is_empty() || self.pids.contains(&process.id.pid)) && self.filter.matches(process)
    }

    /// The processes to show, in order.
    pub fn rows(&self, snapshot: &Snapshot) -> Vec<Row> {
        let mut shown: Vec<usize> = (0..snapshot.processes.len())
            .filter(|&index| self.shows(&snapshot.processes[index]))
            .collect();
        shown.sort_by(|&a, &b| self.sort.compare(&snapshot.processes[a], &snapshot.processes[b]));
        if self.tree {
            self.forest(snapshot, &shown)
        } else {
            let flat = |index| Row {
                index,
                depth: 0,
                parent: false,
            };
            shown.into_iter().map(flat).collect()
        }
    }

    /// A process whose parent is left out hangs below its nearest ancestor that is shown.
    fn forest(&self, snapshot: &Snapshot, shown: &[usize]) -> Vec<Row> {
        let by_pid: HashMap<u32, usize> = snapshot
            .processes
            .iter()
            .enumerate()
            .map(|(index, process)| (process.id.pid, index))
            .collect();
        let visible: HashSet<usize> = shown.iter().copied().collect();
        let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for &index in shown {
            let above = nearest_ancestor(snapshot, &by_pid, &visible, index);
            children.entry(above).or_default().push(index);
        }
        let mut rows = Vec::with_capacity(shown.len());
        let mut pending: Vec<(usize, usize)> = Vec::new();
        let mut expand = |above: Option<usize>, depth, pending: &mut Vec<(usize, usize)>| {
            let below = children.remove(&above).unwrap_or_default();
            pending.extend(below.iter().rev().map(|&index| (index, depth)));
            !below.is_empty()
        };
        expand(None, 0, &mut pending);
        while let Some((index, depth)) = pending.pop() {
            let before = pending.len();
            let parent = expand(Some(index), depth + 1, &mut pending);
            if self.collapsed.contains(&snapshot.processes[index].id) {
                pending.truncate(before);
            }
            rows.push(Row { index, depth, parent });
        }
        rows
    }
}

/// Levels are not read at one instant: a pid may be reused in between, so that parents can form a ring. A ring ends at
/// the process that has the lowest index in it, which becomes a root.
fn nearest_ancestor(
    snapshot: &Snapshot,
    by_pid: &HashMap<u32, usize>,
    visible: &HashSet<usize>,
    start: usize,
) -> Option<usize> {
    let mut seen = HashSet::from([start]);
    let mut found = None;
    let mut at = start;
    loop {
        match by_pid.get(&snapshot.processes[at].parent_pid) {
            Some(&parent) => at = parent,
            None => return found,
        }
        if at == start {
            let lowest = seen.iter().filter(|index| visible.contains(index)).min();
            return found.filter(|_| lowest != Some(&start));
        }
        if !seen.insert(at) {
            return found;
        }
        if found.is_none() && visible.contains(&at) {
            found = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, RowSelection};
    use crate::model::snapshot::Snapshot;
    use crate::present::{fields::FieldId, sample, sort::Sort};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn shown(selection: &RowSelection, snapshot: &Snapshot) -> Vec<(u32, usize)> {
        let place = |row: Row| (snapshot.processes[row.index].id.pid, row.depth);
        selection.rows(snapshot).into_iter().map(place).collect()
    }

    fn by_pid() -> RowSelection {
        RowSelection {
            sort: Sort {
                field: FieldId::Pid,
                invert: false,
            },
            ..RowSelection::default()
        }
    }

    #[test]
    fn the_worst_comes_first_and_then_the_fastest_grower() {
        let rows = shown(&RowSelection::default(), &sample::snapshot());
        assert_eq!(
            rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            [4711, 812, 1, 813, 4900, 4800]
        );
    }

    #[test]
    fn findings_go_with_their_rows_and_those_of_ended_processes_with_all() {
        let snapshot = sample::snapshot();
        let about = |filter: &str| {
            let selection = RowSelection {
                filter: filter.parse().expect("the filter is right"),
                ..RowSelection::default()
            };
            let rows = selection.rows(&snapshot);
            super::findings(&snapshot, &rows)
                .map(|finding| finding.pid)
                .collect::<Vec<_>>()
        };
        assert_eq!(about(""), [4711, 4711, 4711, 812, 3100]);
        assert_eq!(about("state:leaking"), [4711, 4711, 4711]);
        assert_eq!(about("pid=1"), [0; 0]);
    }

    #[test]
    fn pids_and_filter_must_both_hold() {
        let selection = RowSelection {
            pids: [812, 4711, 9999].into(),
            filter: "!payments".parse().expect("filter parses"),
            ..by_pid()
        };
        assert_eq!(shown(&selection, &sample::snapshot()), [(812, 0)]);
    }

    #[test]
    fn children_stand_below_their_parents() {
        let selection = RowSelection {
            tree: true,
            ..by_pid()
        };
        let rows = shown(&selection, &sample::snapshot());
        assert_eq!(
            rows,
            [(1, 0), (812, 1), (813, 2), (4711, 1), (4800, 2), (4900, 2)]
        );
    }

    #[test]
    fn a_child_of_one_left_out_hangs_below_the_next_ancestor() {
        let selection = RowSelection {
            tree: true,
            filter: "!pid=812".parse().expect("filter parses"),
            ..by_pid()
        };
        let rows = shown(&selection, &sample::snapshot());
        assert_eq!(rows, [(1, 0), (813, 1), (4711, 1), (4800, 2), (4900, 2)]);
    }

    #[test]
    fn collapsed_processes_hide_everything_below() {
        let snapshot = sample::snapshot();
        let mut selection = RowSelection {
            tree: true,
            ..by_pid()
        };
        selection.collapsed.insert(snapshot.processes[1].id);
        let rows = selection.rows(&snapshot);
        assert!(rows.iter().any(|row| row.index == 1 && row.parent));
        assert_eq!(
            shown(&selection, &snapshot),
            [(1, 0), (812, 1), (4711, 1), (4800, 2), (4900, 2)]
        );
        selection.collapsed.insert(snapshot.processes[0].id);
        assert_eq!(shown(&selection, &snapshot), [(1, 0)]);
    }

    proptest! {
        #[test]
        fn a_tree_shows_every_process_once_whatever_its_parents(parents in proptest::collection::vec(any::<u8>(), 1..24)) {
            let mut snapshot = sample::snapshot();
            snapshot.processes = (0..).zip(&parents).map(|(pid, &parent)| {
                sample::quiet(pid, u32::from(parent) % 24, "p")
            }).collect();
            let selection = RowSelection { tree: true, ..by_pid() };
            let mut pids: Vec<_> = shown(&selection, &snapshot).iter().map(|row| row.0).collect();
            pids.sort_unstable();
            prop_assert_eq!(pids, (0..u32::try_from(parents.len()).expect("few")).collect::<Vec<_>>());
        }
    }
}
