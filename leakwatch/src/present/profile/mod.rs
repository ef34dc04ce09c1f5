//! Call sites as profiles that other tools read: what a process holds, by the stack that took it.
//!
//! `folded` and `pprof` are written and read back, `svg` is a flame graph to look at, and [`diff`] sets two profiles
//! against each other.

pub mod diff;
pub mod folded;
pub mod pprof;
pub mod svg;
mod tree;

use std::collections::BTreeSet;

use leakwatch_common::kind::Kind;

use crate::model::snapshot::{FrameRow, ProcessRow, SiteRow, Snapshot};

/// What is profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Anonymous memory, by the stacks that mapped it and by those that touched it first. Both see the same memory, so
    /// the kinds are never added up.
    Memory,
    /// Open file descriptors.
    Fd,
    /// Threads, the main thread aside.
    Thread,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Fd, Self::Thread];

    /// As typed on the command line and in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fd => "fd",
            Self::Thread => "thread",
        }
    }

    /// The resource of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// What a profile of it counts, in words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Memory => "memory that grew here and is still held",
            Self::Fd => "file descriptors still open, by the stack that opened them",
            Self::Thread => "threads still running, by the stack that started them",
        }
    }

    /// Unit of the values, as pprof names it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Memory => "bytes",
            Self::Fd | Self::Thread => "count",
        }
    }

    /// Name of the second value: what was ever taken.
    pub const fn taken(self) -> &'static str {
        match self {
            Self::Memory => "allocated",
            Self::Fd | Self::Thread => "born",
        }
    }

    /// The resource that a site of this kind takes; `None` for what gives back, and for kinds that this version does not
    /// know.
    pub fn of_kind(kind: &str) -> Option<Self> {
        if kind == FIRST_TOUCH {
            return Some(Self::Memory);
        }
        if let Some(resource) = kind.strip_prefix(UNATTRIBUTED) {
            return Self::named(resource);
        }
        match Kind::ALL.iter().find(|known| known.name() == kind)? {
            Kind::Thread => Some(Self::Thread),
            Kind::Mapping | Kind::BrkGrow => Some(Self::Memory),
            Kind::Unmapping | Kind::BrkShrink | Kind::Discard => None,
            _ => Some(Self::Fd),
        }
    }

    fn held_without_site(self, process: &ProcessRow) -> u64 {
        match self {
            // How much of the memory no site accounts for is not known: sites count mapped bytes, levels resident ones.
            Self::Memory => 0,
            Self::Fd => process.unattributed.fds.into(),
            Self::Thread => process.unattributed.threads.into(),
        }
    }
}

/// Kind of the sites that page faults are sampled at.
const FIRST_TOUCH: &str = "first_touch";

/// Kind of what is held and was not seen being taken, before the resource's name.
const UNATTRIBUTED: &str = "unattributed ";

/// What one or more processes hold of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What was counted.
    pub resource: Resource,
    /// Where; empty when not known.
    pub host: String,
    /// When, milliseconds since the epoch; 0 when not known.
    pub time_unix_ms: u64,
    /// How long the births were watched for, nanoseconds; 0 when not known.
    pub observed_ns: u64,
    /// Path of the executable, of the first process when there are several; `None` when not known.
    pub exe: Option<String>,
    /// By process and site.
    pub samples: Vec<Sample>,
}

/// What one process holds from one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The process's pid.
    pub pid: u32,
    /// The process's name.
    pub process: String,
    /// As in [`SiteRow::kind`], or `unattributed fd`, `unattributed thread`.
    pub kind: String,
    /// The function to look at first.
    pub function: Option<String>,
    /// Innermost first. What is no function stands in brackets: `[no stack taken]`.
    pub frames: Vec<FrameRow>,
    /// What is still held: things, or bytes of memory. 0 also when that is not known.
    pub live: u64,
    /// What was ever taken: things, or bytes of memory.
    pub taken: u64,
}

impl Profile {
    /// What these processes hold. Sites are there only for processes whose details somebody asked for.
    pub fn of(snapshot: &Snapshot, pids: &BTreeSet<u32>, resource: Resource, observed_ns: u64) -> Self {
        let wanted = |process: &&ProcessRow| pids.contains(&process.id.pid);
        let mut executables = snapshot
            .processes
            .iter()
            .filter(wanted)
            .map(|process| &process.exe);
        Self {
            resource,
            host: snapshot.host.clone(),
            time_unix_ms: snapshot.time_unix_ms,
            observed_ns,
            exe: executables.next().cloned().flatten().map(|exe| exe.to_string()),
            samples: snapshot
                .processes
                .iter()
                .filter(wanted)
                .flat_map(|process| samples(process, resource))
                .collect(),
        }
    }

    /// What is still held, all together. Memory of different kinds is seen twice.
    pub fn live(&self) -> u64 {
        self.samples.iter().map(|sample| sample.live).sum()
    }

    /// What is still held and was seen being taken.
    pub fn attributed(&self) -> u64 {
        let samples = self.samples.iter();
        samples
            .filter(|sample| !sample.kind.starts_with(UNATTRIBUTED))
            .map(|sample| sample.live)
            .sum()
    }
}

/// Whether every name that can be found has been: symbols are looked up while sampling goes on, and arrive a tick later.
pub fn is_settled(process: &ProcessRow) -> bool {
    let mut frames = process.sites.iter().flat_map(|site| &site.frames);
    frames.all(|frame| frame.function.is_some() || frame.reason.is_some())
}

/// A frame as every format writes it: its function, or the place in its binary. Never empty.
pub fn label(frame: &FrameRow) -> String {
    match frame.function.as_deref() {
        Some(function) if !function.is_empty() => function.to_owned(),
        _ => format!("{}+{:#x}", file_name(&frame.module), frame.address),
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn samples(process: &ProcessRow, resource: Resource) -> Vec<Sample> {
    let of_resource = |site: &&SiteRow| Resource::of_kind(&site.kind) == Some(resource);
    let sites = process.sites.iter().filter(of_resource);
    let mut samples: Vec<Sample> = sites.map(|site| sample(process, site, resource)).collect();
    let without_site = resource.held_without_site(process);
    if without_site > 0 {
        samples.push(Sample {
            kind: format!("{UNATTRIBUTED}{}", resource.name()),
            function: None,
            frames: vec![bracketed("not seen being taken")],
            live: without_site,
            taken: 0,
            ..of_process(process)
        });
    }
    samples
}

fn sample(process: &ProcessRow, site: &SiteRow, resource: Resource) -> Sample {
    let mut frames = site.frames.clone();
    if frames.is_empty() {
        frames.push(bracketed("no stack taken"));
    } else if let Some(why) = &site.cut {
        frames.push(bracketed(&format!("stack cut: {why}")));
    }
    let (live, taken) = match resource {
        Resource::Memory => (site.live_bytes, site.bytes),
        Resource::Fd | Resource::Thread => (site.live, site.born),
    };
    Sample {
        kind: site.kind.clone(),
        function: site.function.clone(),
        frames,
        live: live.unwrap_or(0),
        taken,
        ..of_process(process)
    }
}

fn of_process(process: &ProcessRow) -> Sample {
    Sample {
        pid: process.id.pid,
        process: process.name.clone(),
        kind: String::new(),
        function: None,
        frames: Vec::new(),
        live: 0,
        taken: 0,
    }
}

/// A frame that is no function.
fn bracketed(what: &str) -> FrameRow {
    FrameRow::named(format!("[{what}]"))
}

/// Why a file is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is something else.
    #[error("{0}")]
    Foreign(String),
    /// It began well.
    #[error("it is damaged or cut off: {0}")]
    Damaged(String),
}

/// Reads a profile of either format.
///
/// # Errors
/// When it is none, or not all of one.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    match bytes {
        [] => Err(ReadError::Empty),
        [0x1f, 0x8b, ..] => pprof::read(bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => folded::read(text),
            Err(_) => Err(ReadError::Foreign(
                "it is neither text nor compressed by gzip".to_owned(),
            )),
        },
    }
}

#[cfg(test)]
mod tests;
