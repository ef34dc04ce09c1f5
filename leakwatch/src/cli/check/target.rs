//! Who is watched.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use super::tree::Tree;
use crate::{
    kernel::StacksOf,
    model::{
        finding::{Finding, Subject},
        identity::ProcessId,
        snapshot::{ProcessRow, Snapshot},
    },
};

/// Who is watched.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Every process.
    Host,
    /// These.
    Pids(BTreeSet<u32>),
    /// Those of the container with this id, or the beginning of one, in lower case.
    Container(String),
    /// Those with this name.
    Name(WildMatch),
    /// Those of a command, once it was started.
    Tree(Option<Tree>),
}

impl Target {
    pub(super) fn name(pattern: &str) -> Self {
        Self::Name(WildMatch::new(pattern))
    }

    /// Whether the process is one of them. `known` are those that were: a pid means who had it first.
    pub(super) fn is_meant(&self, process: &ProcessRow, known: &BTreeMap<u32, ProcessId>) -> bool {
        match self {
            Self::Host => true,
            Self::Pids(pids) => {
                pids.contains(&process.id.pid)
                    && known
                        .get(&process.id.pid)
                        .is_none_or(|first| *first == process.id)
            }
            Self::Container(id) => process
                .container_id
                .as_ref()
                .is_some_and(|container| container.starts_with(id.as_str())),
            Self::Name(pattern) => {
                // The kernel cuts a command's name; that of the file is whole.
                let file = process.exe.as_deref().and_then(|exe| exe.rsplit('/').next());
                pattern.matches(&process.name) || file.is_some_and(|file| pattern.matches(file))
            }
            Self::Tree(tree) => tree.as_ref().is_some_and(|tree| tree.contains(process.id)),
        }
    }

    /// Of whom stacks are taken. Only of these few, or what else the host does leaves too few of them.
    pub(super) fn stacks_of(&self) -> StacksOf {
        match self {
            Self::Pids(_) | Self::Tree(_) => StacksOf::Wanted,
            Self::Host | Self::Container(_) | Self::Name(_) => StacksOf::Everyone,
        }
    }

    /// Whether a finding about a group of processes is about them.
    pub(super) fn is_group_meant(&self, finding: &Finding) -> bool {
        match (self, &finding.subject) {
            (Self::Host, Subject::Container(_) | Subject::Unit(_)) => true,
            (Self::Container(id), Subject::Container(container)) => container.starts_with(id.as_str()),
            _ => false,
        }
    }

    /// Takes in who was born; `others` are children of leakwatch that nobody asked about.
    pub(super) fn update(&mut self, snapshot: &Snapshot, others: &BTreeSet<u32>) {
        if let Self::Tree(Some(tree)) = self {
            tree.update(snapshot, others);
        }
    }

    /// In words, for an error.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Host => "this host".to_owned(),
            Self::Pids(pids) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                format!("process {}", pids.join(", "))
            }
            Self::Container(id) => format!("container {id}"),
            Self::Name(pattern) => format!("the name \"{pattern}\""),
            Self::Tree(_) => "the command".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ProcessId, Target};
    use crate::present::sample;

    #[test]
    fn names_are_of_commands_and_of_files() {
        let process = sample::process(1, "payments");
        let meant = |pattern| Target::name(pattern).is_meant(&process, &BTreeMap::new());
        for pattern in ["payments", "pay*", "java", "jav?", "*"] {
            assert!(meant(pattern), "{pattern}");
        }
        for pattern in ["pay", "Payments", "/usr/lib/jvm/bin/java", "spring.jar"] {
            assert!(!meant(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_container_is_known_by_the_beginning_of_its_id() {
        let process = sample::process(1, "payments");
        let meant = |id: &str| Target::Container(id.to_owned()).is_meant(&process, &BTreeMap::new());
        assert!(meant("8f3a0c8f3a0c") && !meant("3a0c8f"));
        assert!(!Target::Container("8f".to_owned()).is_meant(&sample::quiet(1, 0, "init"), &BTreeMap::new()));
    }

    #[test]
    fn a_pid_means_who_had_it_first() {
        let process = sample::process(7, "payments");
        let pids = Target::Pids([7].into());
        assert!(pids.is_meant(&process, &BTreeMap::from([(7, process.id)])));
        let other = ProcessId {
            pid: 7,
            start_time_ns: 1,
        };
        assert!(!pids.is_meant(&process, &BTreeMap::from([(7, other)])));
    }
}
