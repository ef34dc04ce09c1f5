//! Harness of the end-to-end tests: what leakwatch reports is held against `/proc`.
//!
//! The suites are in `tests/suite`, behind the feature `privileged` because they load probes.

pub mod agent;
pub mod binary;
pub mod compare;
pub mod container;
pub mod document;
pub mod dotnet;
pub mod findings;
pub mod go;
pub mod holder;
pub mod java;
pub mod leaks;
pub mod load;
pub mod machine;
pub mod markdown;
pub mod node;
pub mod package;
pub mod python;
pub mod sites;
pub mod stress;
pub mod subject;
pub mod subjects;
pub mod table;
pub mod tmux;
pub mod truth;
