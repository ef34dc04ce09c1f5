//! Why the kernel side could not be used, and what to do about it.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error;

use super::btf::BtfError;

/// Where the kernel shows its type information.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// leakwatch could not observe.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The type information could not be read.
    #[error("cannot read {BTF_PATH}: {0}")]
    NoBtf(#[source] io::Error),
    /// The type information is of no use.
    #[error("the kernel's type information in {BTF_PATH} does not fit")]
    Btf(#[from] BtfError),
    /// aya could not parse the type information.
    #[error("the kernel's type information in {BTF_PATH} does not parse")]
    ParseBtf(#[from] aya::BtfError),
    /// The kernel refused the object or one of its maps.
    #[error("the kernel refused the eBPF maps")]
    Load(#[source] EbpfError),
    /// A required probe did not load or attach.
    #[error("the probe {program} ({hook}) is required and was refused: {reason}")]
    RequiredProbe {
        /// Program name.
        program: &'static str,
        /// What it hooks.
        hook: String,
        /// The kernel's answer.
        reason: String,
    },
    /// A program went away, or an iterator could not be read.
    #[error("cannot read the levels from {program}")]
    Iterator {
        /// Program name.
        program: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A program is not what the object should hold: a broken build.
    #[error("program {0} is missing from the eBPF object or has another type")]
    Program(&'static str),
    /// An operation on a program failed.
    #[error("eBPF program {program}")]
    ProgramCall {
        /// Program name.
        program: &'static str,
        /// The kernel's answer.
        #[source]
        source: ProgramError,
    },
    /// A map is missing or refused an operation.
    #[error("eBPF map {map}")]
    Map {
        /// Map name.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: MapError,
    },
    /// A map is missing from the object: a broken build.
    #[error("map {0} is missing from the eBPF object")]
    NoMap(&'static str),
    /// A system call on something of ours failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}
