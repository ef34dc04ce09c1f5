//! Which allocations of one process stay: its allocator's functions are probed for a while.
//!
//! Probes on functions that are called a hundred thousand times a second cost something, and it is the process that pays. So
//! the calls are counted first, what one costs is measured on this host ([`calibrate`]), and what comes of it ([`cost`]) is
//! said before a trace begins. The probes are the kernel's breakpoints and gone with the trace.

mod allocator;
mod calibrate;
pub mod cost;
mod elf;
pub mod entry;
pub mod merge;
mod prepare;
mod running;
pub mod survivors;
mod usage;

use std::{io, num::NonZeroU32, time::Duration};

use thiserror::Error;

pub use self::{
    cost::Prediction,
    prepare::Prepared,
    running::{Progress, Trace},
};
use crate::kernel::KernelError;

/// Why a process was not traced.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The kernel side failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The process is not there, or not ours to look at.
    #[error("{call} /proc/{pid}/{file}: {source}")]
    Process {
        /// Its number.
        pid: u32,
        /// What failed.
        call: &'static str,
        /// On which of its files.
        file: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file that it has mapped cannot be read.
    #[error("cannot read {path}, which the process has mapped: {source}")]
    File {
        /// As the process sees it.
        path: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A Go program: its stacks move, and a return probe changes them.
    #[error("process {pid} is a Go program, which return probes would crash")]
    Go {
        /// Its number.
        pid: u32,
    },
    /// Nothing that allocates was found by name.
    #[error("no allocator found in process {pid} ({executable}): no malloc and free by any known name")]
    NoAllocator {
        /// Its number.
        pid: u32,
        /// Its executable.
        executable: String,
        /// Whether the executable has no symbols to find one by.
        stripped: bool,
    },
    /// Costs could not be measured.
    #[error("cannot measure what a probe costs: {0}")]
    Calibration(&'static str),
    /// The thread that names could not be started.
    #[error("clone of a thread for symbols: {0}")]
    Symbols(#[source] io::Error),
}

impl TraceError {
    fn process(pid: u32, call: &'static str, file: &'static str, source: io::Error) -> Self {
        Self::Process {
            pid,
            call,
            file,
            source,
        }
    }
}

/// What of a process to trace and for how long.
#[derive(Clone, Copy, Debug)]
pub struct TraceOptions {
    /// Thread group id.
    pub pid: NonZeroU32,
    /// How long.
    pub duration: Duration,
}
