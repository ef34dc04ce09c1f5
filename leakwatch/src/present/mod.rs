//! Presenters: each sees one immutable [`crate::model::snapshot::Snapshot`] per tick, and nothing else.

pub mod metrics;
