//! leakwatch: what any process on a Linux host leaks, how fast, and when it hits the limit.
//!
//! The modules in the order the data flows:
//!
//! ```text
//! kernel | probes -> counts + ring buffer        iterators -> levels
//! -------+-----------------------------------------------------------
//! user   | kernel -> decode -> aggregate -> detect -> attribute -> Snapshot -> present
//! ```
//!
//! `docs/architecture.md` says who may depend on whom; `cargo xtask lint` checks it.

#[cfg(feature = "kernel")]
pub mod doctor;
#[cfg(feature = "kernel")]
pub mod kernel;
pub mod raw;

pub mod aggregate;
pub mod assemble;
pub mod attribute;
pub mod decode;
pub mod detect;

pub mod model;
pub mod present;
