//! Why a recording cannot be written or read.

use std::{
    io,
    time::{Duration, UNIX_EPOCH},
};

use super::{foreign::Looks, format::FORMAT};

/// What ends the writing or reading of a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is something else.
    #[error("not a leakwatch recording: it looks like {0}")]
    Foreign(Looks),
    /// The file is of a later format.
    #[error(
        "written by leakwatch {tool_version} in format {format}, and this leakwatch reads formats up to {FORMAT}: \
         leakwatch {tool_version} or a later one reads it"
    )]
    Newer {
        /// Who wrote it.
        tool_version: String,
        /// In which format.
        format: u16,
    },
    /// The rows in it are not laid out as they are here.
    #[error(
        "written by leakwatch {tool_version} on {machine}, whose rows differ from those of this leakwatch: \
         leakwatch {tool_version} on {machine} reads it"
    )]
    Layout {
        /// Who wrote it.
        tool_version: String,
        /// Architecture of the writer.
        machine: String,
    },
    /// The file ends before its first tick can.
    #[error("cut short in its header: there is no tick in it")]
    NoHeader,
    /// Some bytes are not what was written.
    #[error("damaged at byte {offset} ({what}); {}", readable(*ticks, *until_unix_ms))]
    Damaged {
        /// Where the damaged piece begins.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
        /// Whole ticks before it.
        ticks: u32,
        /// When the last of them was, milliseconds since the epoch.
        until_unix_ms: Option<u64>,
    },
    /// One tick is more than a recording holds.
    #[error("a tick of {bytes} bytes is more than a recording holds")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The system refused.
    #[error("{what} a recording")]
    Io {
        /// `write to`, `read from`, ...
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A time, as people read it.
pub(super) fn time(unix_ms: u64) -> String {
    // The end of the year 9999: what is beyond cannot be written.
    const LAST: u64 = 253_402_300_799_999;
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

fn readable(ticks: u32, until: Option<u64>) -> String {
    match until {
        Some(until) => format!("the {ticks} ticks before it, until {}, can be read", time(until)),
        None => "nothing before it can be read".to_owned(),
    }
}
