//! Recordings: everything that a run of the pipeline was a function of, so that it can be run again elsewhere.
//!
//! A tick is what was read ([`crate::raw`]), what somebody looked at, and what every effect in [`crate::run::World`] answered.
//! [`Recorder`] listens to a live world and writes that down; [`Replay`] answers from it, needs no root and no probes, and
//! makes the same snapshots, byte for byte. `format` says what the file looks like.
//!
//! Nothing of a process's memory is recorded, nor its registers: see `numbers`.

mod answers;
mod error;
mod foreign;
mod format;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod import;
mod numbers;
mod reader;
mod recorder;
mod replay;
#[cfg(test)]
mod tests;
mod tick;
mod writer;

pub use self::{
    error::RecordError,
    foreign::Looks,
    format::{FORMAT, Header, HostFacts},
    import::{Import, ImportError, import_csv},
    recorder::Recorder,
    replay::{Ending, Replay, replay},
};
