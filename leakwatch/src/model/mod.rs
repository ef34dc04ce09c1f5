//! The nouns. No behaviour beyond what a noun knows about itself; no clock, no I/O.

pub mod census;
pub mod confirm;
pub mod finding;
pub mod health;
pub mod identity;
pub mod interest;
pub mod runtime;
pub mod sanitize;
pub mod snapshot;
pub mod stack;
pub mod trace;
