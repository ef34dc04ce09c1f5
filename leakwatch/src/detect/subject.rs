//! What the detector is told at a tick.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::Process,
    model::{finding::Resource, identity::ProcessId, snapshot::LimitUse},
    raw::SiteReading,
};

/// Who is judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKey {
    /// One process.
    Process(ProcessId),
    /// All processes of a container, by its id.
    Container(Arc<str>),
    /// All processes of a systemd unit, by its name.
    Unit(Arc<str>),
}

impl SubjectKey {
    /// The process, if it is one.
    pub fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Process(id) => Some(*id),
            Self::Container(_) | Self::Unit(_) => None,
        }
    }
}

/// How much a subject holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Anonymous memory, resident or swapped out; bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub fds: u64,
    /// Threads, the main thread included.
    pub threads: u64,
    /// Mappings.
    pub maps: u64,
}

impl Levels {
    /// One of them.
    pub fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Fd => self.fds,
            Resource::Thread => self.threads,
            Resource::Maps => self.maps,
        }
    }
}

/// One subject at one tick.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Who.
    pub subject: SubjectKey,
    /// What it runs: the build id of its executable, else its path. With it a verdict survives a restart.
    pub program: Option<Arc<str>>,
    /// For how long it has been running, nanoseconds; a group as long as its oldest member.
    pub age_ns: u64,
    /// What it holds.
    pub levels: Levels,
    /// How much it has done so far: births of everything. Only grows.
    pub load: u64,
    /// Every limit in force, in any order.
    pub limits: &'a [LimitUse],
    /// Where it took what it holds; `None` of a group.
    pub sites: Option<&'a Process>,
    /// The kernel's counts of this process and image, one for each kind; empty of a group.
    pub counts: &'a [SiteReading],
    /// Whether deaths were lost since the last tick: what rests on them says nothing now.
    pub blind: bool,
}
