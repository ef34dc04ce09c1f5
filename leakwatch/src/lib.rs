//! leakwatch: what any process on a Linux host leaks, how fast, and when it hits the limit.
//!
//! The modules in the order the data flows:
//!
//! ```text
//! kernel | probes -> counts + ring buffer        iterators -> levels
//! -------+------------------------------------------------------------------------
//! user   | kernel -> decode -> aggregate -> detect -> attribute -> assemble -> present
//!            raw       model
//! ```
//!
//! [`run`] wires the stages, [`sampler`] runs them live, and [`cli`] says what was typed. `docs/architecture.md` says who may depend on whom;
//! `cargo xtask lint` checks it, and so does a build without the feature `kernel`, which leaves only the pure stages,
//! the presenters and their clock.

#[cfg(feature = "kernel")]
pub mod kernel;
pub mod raw;

pub mod aggregate;
pub mod assemble;
pub mod attribute;
pub mod decode;
pub mod detect;
pub mod limits;
pub mod model;
pub mod present;
pub mod record;
pub mod run;
pub mod subjects;

mod clock;

#[cfg(feature = "kernel")]
pub mod attach;
#[cfg(feature = "kernel")]
pub mod call_sites;
#[cfg(feature = "kernel")]
pub mod cli;
#[cfg(feature = "kernel")]
pub mod confirm;
#[cfg(feature = "kernel")]
mod coreclr;
#[cfg(feature = "kernel")]
pub mod doctor;
#[cfg(feature = "kernel")]
pub mod hook;
#[cfg(feature = "kernel")]
mod hotspot;
#[cfg(feature = "kernel")]
mod own_use;
#[cfg(feature = "kernel")]
mod process_maps;
#[cfg(feature = "kernel")]
mod process_stat;
#[cfg(feature = "kernel")]
mod recognise;
#[cfg(feature = "kernel")]
pub mod runtimes;
#[cfg(feature = "kernel")]
pub mod sampler;
#[cfg(feature = "kernel")]
pub mod socket;
#[cfg(feature = "kernel")]
mod state_file;
#[cfg(feature = "kernel")]
pub mod symbols;
#[cfg(feature = "kernel")]
mod target_file;
#[cfg(feature = "kernel")]
mod target_memory;
#[cfg(feature = "kernel")]
pub mod trace;
#[cfg(feature = "kernel")]
pub mod unwind;
#[cfg(feature = "kernel")]
mod v8;
