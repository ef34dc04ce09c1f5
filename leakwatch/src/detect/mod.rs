//! Histories into verdicts. One detector, one file; no clock, no I/O.

pub mod growth;
