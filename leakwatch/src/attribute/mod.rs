//! Who is behind a process: executable, command line, user, container, runtime.
//!
//! Facts are read once per program image, not once per tick: when a process is first seen, after an `execve`, when it
//! changes its cgroup, and once more when it is a few seconds old, because a runtime maps its library only while it starts.
//! They come through [`Facts`], so that this stage runs on recorded facts as well.

pub mod blame;
pub mod container;
#[cfg(feature = "kernel")]
mod examples;
#[cfg(feature = "kernel")]
mod pagemap;
#[cfg(feature = "kernel")]
pub mod source;
pub mod unit;
pub mod users;

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{aggregate::Process, model::identity::ProcessId, raw::Moment};

/// A process is read again at this age, nanoseconds.
const SETTLED_NS: u64 = 5_000_000_000;

/// What the host knows about a process beyond the levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessFacts {
    /// Path of the executable.
    pub exe: Option<Arc<str>>,
    /// Arguments, joined by spaces.
    pub cmdline: Option<Arc<str>>,
    /// Container id.
    pub container_id: Option<Arc<str>>,
    /// Language runtime.
    pub runtime: Option<Arc<str>>,
    /// Its version, as it says itself.
    pub runtime_version: Option<Arc<str>>,
    /// What answers `malloc`.
    pub allocator: Option<Arc<str>>,
    /// Systemd unit, of what is in no container.
    pub unit: Option<Arc<str>>,
    /// Build id of the executable in hexadecimal digits: GNU's, else Go's.
    pub build_id: Option<Arc<str>>,
}

/// Where facts come from.
pub trait Facts {
    /// Facts about a live process; all absent when it is gone or may not be read.
    fn process(&mut self, pid: u32) -> ProcessFacts;
    /// Name of a user, or the digits of its id.
    fn user(&mut self, uid: u32) -> Arc<str>;
    /// What one thing of a kind is, that a process holds: a path, a peer, a thread's name. `None` when it is gone, or when
    /// there is nothing to say.
    fn item(&mut self, pid: u32, kind: &str, item: u64) -> Option<String>;
    /// Those of these pages of a process, by address, that hold no anonymous memory any more.
    fn not_resident(&mut self, pid: u32, pages: &[u64]) -> Vec<u64>;
}

/// Facts of the processes that are alive.
#[derive(Debug, Default)]
pub struct Attribution {
    known: HashMap<ProcessId, Known>,
    pass: u64,
}

#[derive(Debug, Default)]
struct Known {
    facts: ProcessFacts,
    /// What the process was when they were read; `None` before.
    image: Option<Image>,
    /// The pass that saw it last.
    pass: u64,
}

/// Facts hold as long as this does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    exec_id: u32,
    cgroup_id: u64,
    settled: bool,
}

impl Attribution {
    /// Reads what is not known yet, and forgets processes that are not among these.
    pub fn update<'a>(
        &mut self,
        moment: Moment,
        processes: impl Iterator<Item = &'a Process>,
        source: &mut dyn Facts,
    ) {
        self.pass += 1;
        for process in processes {
            let age_ns = moment.boottime_ns.saturating_sub(process.id.start_time_ns);
            let known = self.known.entry(process.id).or_default();
            known.pass = self.pass;
            let image = Image {
                exec_id: process.row.exec_id,
                cgroup_id: process.row.cgroup_id,
                settled: age_ns >= SETTLED_NS,
            };
            if known.image != Some(image) {
                known.image = Some(image);
                known.facts = source.process(process.id.pid);
            }
        }
        self.known.retain(|_, known| known.pass == self.pass);
    }

    /// What a process runs, by a name that outlives it.
    pub fn program(&self, id: &ProcessId) -> Option<Arc<str>> {
        let facts = &self.known.get(id)?.facts;
        facts.build_id.as_ref().or(facts.exe.as_ref()).cloned()
    }

    /// The container that a process is in.
    pub fn container(&self, id: &ProcessId) -> Option<Arc<str>> {
        self.known.get(id)?.facts.container_id.clone()
    }

    /// The systemd unit that a process is in.
    pub fn unit(&self, id: &ProcessId) -> Option<Arc<str>> {
        self.known.get(id)?.facts.unit.clone()
    }

    /// The language runtime of a process.
    pub fn runtime(&self, id: &ProcessId) -> Option<&str> {
        self.known.get(id)?.facts.runtime.as_deref()
    }

    /// Facts about a process.
    pub fn of(&self, id: &ProcessId) -> ProcessFacts {
        self.known
            .get(id)
            .map(|known| known.facts.clone())
            .unwrap_or_default()
    }
}
