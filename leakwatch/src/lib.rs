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

pub mod cli;
pub mod model;
pub mod present;
