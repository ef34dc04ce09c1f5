//! Presenters: each sees one immutable [`crate::model::snapshot::Snapshot`] per tick, and nothing else.

pub mod census;
pub mod columns;
pub mod explain;
pub mod fields;
pub mod filter;
pub mod findings;
pub mod markup;
pub mod metrics;
pub mod profile;
pub mod recording;
pub mod report;
pub mod rows;
mod runtime;
pub mod sort;
pub mod summary;
pub mod text;
pub mod top;
pub mod units;
pub mod words;

#[cfg(test)]
pub(crate) mod sample;
