//! The processes that a command made: its children, theirs, and those whose parents have ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{identity::ProcessId, snapshot::Snapshot};

/// A command and all its descendants. leakwatch is their reaper (`PR_SET_CHILD_SUBREAPER`), so that those whose parents have
/// ended become its own children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    root: u32,
    reaper: u32,
    /// Of the root, once it was seen.
    start_time_ns: Option<u64>,
    members: BTreeSet<ProcessId>,
}

impl Tree {
    pub(super) fn new(root: u32, reaper: u32) -> Self {
        Self {
            root,
            reaper,
            start_time_ns: None,
            members: BTreeSet::new(),
        }
    }

    /// Takes in who was born; `others` are children of the reaper that do not belong to it.
    pub(super) fn update(&mut self, snapshot: &Snapshot, others: &BTreeSet<u32>) {
        if self.start_time_ns.is_none() {
            let root = snapshot
                .processes
                .iter()
                .find(|process| process.id.pid == self.root);
            self.start_time_ns = root.map(|root| root.id.start_time_ns);
        }
        // The pid of a child may be lower than its parent's.
        let mut children: BTreeMap<u32, Vec<ProcessId>> = BTreeMap::new();
        let mut alive = Vec::new();
        for process in &snapshot.processes {
            children.entry(process.parent_pid).or_default().push(process.id);
            if self.members.contains(&process.id) {
                alive.push(process.id);
            }
        }
        let adopted = children.get(&self.reaper).into_iter().flatten();
        alive.extend(adopted.filter(|id| {
            // What the reaper had before it started the command is not of it, nor is anything until the command was seen:
            // then it is not known what was before.
            let since = self.start_time_ns.is_some_and(|start| id.start_time_ns >= start);
            id.pid == self.root || since && !others.contains(&id.pid)
        }));
        while let Some(id) = alive.pop() {
            self.members.insert(id);
            let born = children.remove(&id.pid).unwrap_or_default();
            alive.extend(born);
        }
    }

    pub(super) fn contains(&self, id: ProcessId) -> bool {
        self.members.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ProcessId, Snapshot, Tree};
    use crate::present::sample;

    const REAPER: u32 = 100;
    const ROOT: u32 = 200;

    fn snapshot(processes: &[(u32, u32)]) -> Snapshot {
        let process = |&(pid, parent): &(u32, u32)| sample::quiet(pid, parent, "p");
        Snapshot {
            processes: processes.iter().map(process).collect(),
            ..sample::snapshot()
        }
    }

    fn members(tree: &Tree) -> Vec<u32> {
        tree.members.iter().map(|id| id.pid).collect()
    }

    #[test]
    fn children_of_children_belong_to_it_and_nobody_else_does() {
        let mut tree = Tree::new(ROOT, REAPER);
        tree.update(
            &snapshot(&[
                (1, 0),
                (REAPER, 1),
                (150, 1),
                (ROOT, REAPER),
                (201, ROOT),
                (202, 201),
                (300, 150),
            ]),
            &BTreeSet::new(),
        );
        assert_eq!(members(&tree), [ROOT, 201, 202]);
    }

    #[test]
    fn who_lost_its_parent_stays_a_member() {
        let mut tree = Tree::new(ROOT, REAPER);
        tree.update(
            &snapshot(&[(REAPER, 1), (ROOT, REAPER), (201, ROOT)]),
            &BTreeSet::new(),
        );
        // 201 was adopted; 203 was made and adopted between two readings, and has a child.
        tree.update(
            &snapshot(&[(REAPER, 1), (201, REAPER), (203, REAPER), (204, 203)]),
            &BTreeSet::new(),
        );
        assert_eq!(members(&tree), [ROOT, 201, 203, 204]);
    }

    #[test]
    fn other_children_of_the_reaper_are_left_out() {
        let mut tree = Tree::new(ROOT, REAPER);
        let hooks = BTreeSet::from([250]);
        // The start time of a sample is its pid: 120 is older than the command.
        tree.update(
            &snapshot(&[(REAPER, 1), (120, REAPER), (121, 120), (250, REAPER), (251, 250)]),
            &hooks,
        );
        assert_eq!(members(&tree), [0; 0], "the command was not seen yet");
        tree.update(
            &snapshot(&[
                (REAPER, 1),
                (120, REAPER),
                (ROOT, REAPER),
                (250, REAPER),
                (251, 250),
            ]),
            &hooks,
        );
        assert_eq!(members(&tree), [ROOT]);
    }

    #[test]
    fn a_pid_that_is_used_again_is_somebody_else() {
        let mut tree = Tree::new(ROOT, REAPER);
        tree.update(&snapshot(&[(REAPER, 1), (ROOT, REAPER)]), &BTreeSet::new());
        let later = ProcessId {
            pid: ROOT,
            start_time_ns: 1,
        };
        assert!(!tree.contains(later));
    }
}
