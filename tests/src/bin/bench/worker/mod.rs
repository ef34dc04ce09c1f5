//! What the measurements run against, each a process of its own.

mod load;
mod procfs_reader;
mod sleepers;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use load::Timing;

/// One of them.
#[derive(Subcommand)]
pub(crate) enum Worker {
    /// System calls in tight loops; prints nanoseconds per operation as JSON
    Load(load::Args),
    /// Idle processes
    Sleepers(sleepers::Args),
    /// Reads levels of every process from /proc once a second
    ProcfsReader,
}

impl Worker {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Load(args) => load::run(&args),
            Self::Sleepers(args) => sleepers::run(&args),
            Self::ProcfsReader => procfs_reader::run(),
        }
    }
}
