//! What a language runtime or an allocator has on its books: what a process holds, in that runtime's own words.
//!
//! Taken by reading a process's memory from outside, while it runs on: numbers are a sample of one moment that lasted
//! [`Census::took_ns`]. Only names, counts and sizes leave the reader, never the contents of objects.

use serde::{Deserialize, Serialize};

use super::{finding::Resource, identity::ProcessId, snapshot::FrameRow};

/// Rows of one [`RuntimeView`] at the most; those that hold most.
pub const MAX_ROWS: usize = 64;

/// Every runtime and allocator of one process, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// Whose it is.
    pub process: ProcessId,
    /// When it was begun, nanoseconds of `CLOCK_MONOTONIC`.
    pub taken_ns: u64,
    /// How long it took, nanoseconds.
    pub took_ns: u64,
    /// Bytes of the process's memory that were read for it.
    pub read_bytes: u64,
    /// One for each runtime and allocator that is there.
    pub views: Vec<RuntimeView>,
}

/// What a runtime says that was asked, and acted for it: unlike a [`Census`] that was read, its rows are all that it told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// What the process did: ends a sentence that begins with its name.
    pub acts: String,
    /// The first answer.
    pub first: Census,
    /// The last one.
    pub last: Census,
}

/// What one runtime or allocator knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuntimeView {
    /// `go`, `java`, `python`, `node`, ...; of an allocator `glibc`, `jemalloc`, ...
    pub runtime: String,
    /// Its version, as it says itself.
    pub version: Option<String>,
    /// Its heap.
    pub heap: Heap,
    /// Other numbers: goroutines, loaded classes, collections.
    pub counters: Vec<Counter>,
    /// What it holds, most first; at most [`MAX_ROWS`].
    pub rows: Vec<CensusRow>,
    /// What cannot be said of this one, and why; `None` when all that leakwatch can read was read.
    pub unknown: Option<String>,
}

/// Memory as its manager sees it, bytes; `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// Address space set aside.
    pub reserved: Option<u64>,
    /// Backed by memory, or ready to be.
    pub committed: Option<u64>,
    /// Held by objects, garbage included.
    pub in_use: Option<u64>,
    /// Held by objects after the last collection of everything: the floor that a leak raises.
    pub live: Option<u64>,
    /// Ready to be used again.
    pub free: Option<u64>,
    /// Collections of everything so far.
    pub collections: Option<u64>,
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The runtime's word, in `snake_case`: `goroutines`, `classes_loaded`.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// What the rows of a census count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Goroutines, by who started them and where they wait.
    Goroutine,
    /// Objects on a heap, by who allocated them.
    AllocationSite,
    /// Objects by class (Java, C++).
    Class,
    /// Objects by type (Python, .NET).
    Type,
    /// Threads by the name of their pool.
    ThreadPool,
    /// Parts of a heap.
    HeapSpace,
    /// Chunks of a heap by size.
    SizeClass,
    /// Processes and ports of the BEAM.
    BeamProcess,
}

impl Counted {
    /// The word used in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goroutine => "goroutine",
            Self::AllocationSite => "allocation_site",
            Self::Class => "class",
            Self::Type => "type",
            Self::ThreadPool => "thread_pool",
            Self::HeapSpace => "heap_space",
            Self::SizeClass => "size_class",
            Self::BeamProcess => "beam_process",
        }
    }

    /// What they count as.
    pub fn resource(self) -> Resource {
        match self {
            Self::ThreadPool => Resource::Thread,
            Self::Goroutine
            | Self::AllocationSite
            | Self::Class
            | Self::Type
            | Self::HeapSpace
            | Self::SizeClass
            | Self::BeamProcess => Resource::Memory,
        }
    }
}

/// Things that are held and alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CensusRow {
    /// What they are.
    pub counted: Counted,
    /// What they are called, the same at every census: `LeakS$Session`, `main.handle (server.go:41)`. Control characters
    /// are replaced.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// Bytes that they take themselves; `None` when that is not known.
    pub bytes: Option<u64>,
    /// Since when the oldest of them has been in this state, seconds: a goroutine that waits. `None` when that is not known.
    pub oldest_seconds: Option<f64>,
    /// Who made them or where they wait, innermost first; empty when that is not known.
    pub frames: Vec<FrameRow>,
}

impl CensusRow {
    /// So many things of one name, of which nothing else is known.
    pub fn of(counted: Counted, name: impl Into<String>, count: u64, bytes: Option<u64>) -> Self {
        Self {
            counted,
            name: name.into(),
            count,
            bytes,
            oldest_seconds: None,
            frames: Vec::new(),
        }
    }
}

/// Whose census is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CensusWish {
    /// The process.
    pub process: ProcessId,
    /// Which of its images: what was learned of one is worth nothing in the next.
    pub exec_id: u32,
    /// Somebody waits for it: it comes before those that are only of use.
    pub urgent: bool,
}

/// Takes censuses. It has effects, so it is given to the flow from outside.
pub trait Censuses {
    /// Asks for a census; each one is given out once, some ticks after it was asked for, and again at intervals as long as
    /// somebody asks.
    fn census(&mut self, now_ns: u64, wish: &CensusWish) -> Option<Census>;
}
