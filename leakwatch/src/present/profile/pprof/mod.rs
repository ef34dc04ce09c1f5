//! The format of `go tool pprof`, Pyroscope and Parca: `profile.proto`, compressed by gzip.
//!
//! Process and kind are labels: `go tool pprof -tagroot=process,kind` makes roots of them.

mod message;
mod reader;
mod writer;

pub use self::{reader::read, writer::write};

/// First word of the first comment; the resource's name follows it.
const MARK: &str = "leakwatch";

/// Name of the value that says what is still held.
const LIVE: &str = "live";

/// Keys of the labels.
mod key {
    /// Number: the process's pid.
    pub(super) const PID: &str = "pid";
    /// The process's name.
    pub(super) const PROCESS: &str = "process";
    /// Kind of what is held.
    pub(super) const KIND: &str = "kind";
    /// The function to look at first.
    pub(super) const FUNCTION: &str = "function";
}
