//! What a recording is made of, byte by byte. Every number is little-endian.
//!
//! ```text
//! file   = magic, format: u16, length: u32, header: JSON, crc: u32 of all before it
//!          chunk of a tick, ..., chunk of the end
//! chunk  = kind: u8, number: u32, size: u32, length: u32, crc: u32 of the payload, crc: u32 of all before it, payload
//! ```
//!
//! `size` is that of the payload when it is decompressed. All payloads together are one zstd stream, flushed at the end of
//! each, so that a tick is compressed by what it has in common with those before it and is whole as soon as it is written.
//! A file without the chunk of the end was cut short: its writer was killed. Checksums are CRC-32C.
//!
//! The magic, the places of `format`, `length` and the first `crc`, and `tool_version` in the header stay in every format.

use std::{collections::BTreeMap, time::Duration};

use leakwatch_common::{
    counter::{Budget, Counter},
    levels::{FileRow, TaskRow, ThreadRow, VmaRow},
    stack::StackTaken,
};
use serde::{Deserialize, Serialize};

use crate::{raw::SiteReading, run::Setup};

/// The first bytes of a recording: no text, and broken by whoever takes it for one.
pub(super) const MAGIC: [u8; 8] = *b"\x8bLWREC\r\n";
/// Version of all that.
pub const FORMAT: u16 = 1;
/// Most bytes of a header.
pub(super) const MAX_HEADER: u32 = 64 << 10;
/// Most bytes of a tick: ten times what 3,000 processes with ten sites each take.
pub(super) const MAX_TICK: u32 = 128 << 20;
/// Base 2 logarithm of how far back the compressor looks, bytes. The reader needs as much memory.
pub(super) const WINDOW_LOG: u32 = 23;

/// Who recorded, where, and when. Written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the leakwatch that wrote it.
    pub tool_version: String,
    /// What the pipeline is set up with.
    pub setup: Setup,
    /// `uname -r`.
    pub kernel_release: String,
    /// `/proc/sys/kernel/random/boot_id`: times since boot of two recordings compare when this is the same.
    pub boot_id: String,
    /// Time between two ticks, milliseconds.
    pub interval_ms: u64,
    /// When it began, milliseconds since the epoch.
    pub started_unix_ms: u64,
    /// How rows are laid out.
    pub(super) layout: Layout,
}

impl Header {
    /// Of a recording that this build makes.
    pub fn new(setup: Setup, host: HostFacts, interval: Duration, started_unix_ms: u64) -> Self {
        Self {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            setup,
            kernel_release: host.kernel_release,
            boot_id: host.boot_id,
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            started_unix_ms,
            layout: Layout::own(),
        }
    }
}

/// What a [`Header`] says of the host beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// See [`Header::kernel_release`].
    pub kernel_release: String,
    /// See [`Header::boot_id`].
    pub boot_id: String,
}

/// How the rows of batches are laid out: they are recorded as the kernel side wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) machine: String,
    little_endian: bool,
    /// Sizes in bytes, or numbers of counters.
    sizes: BTreeMap<String, usize>,
}

impl Layout {
    /// Of this build.
    pub(super) fn own() -> Self {
        let sizes = [
            ("task", size_of::<TaskRow>()),
            ("file", size_of::<FileRow>()),
            ("vma", size_of::<VmaRow>()),
            ("thread", size_of::<ThreadRow>()),
            ("stack", size_of::<StackTaken>()),
            ("site", size_of::<SiteReading>()),
            ("counters", Counter::COUNT),
            ("budgets", Budget::COUNT),
        ];
        Self {
            machine: std::env::consts::ARCH.to_owned(),
            little_endian: cfg!(target_endian = "little"),
            sizes: sizes.map(|(row, size)| (row.to_owned(), size)).into(),
        }
    }

    /// Whether rows written there can be read here.
    pub(super) fn is_read_by(&self, other: &Self) -> bool {
        (self.little_endian, &self.sizes) == (other.little_endian, &other.sizes)
    }
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Tick,
    End,
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHead {
    pub(super) kind: ChunkKind,
    /// 0 for the first.
    pub(super) number: u32,
    /// Of the payload, decompressed.
    pub(super) size: u32,
    /// Of the payload.
    pub(super) length: u32,
    /// Of the payload.
    pub(super) crc: u32,
}

impl ChunkHead {
    pub(super) const LENGTH: usize = 21;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = match self.kind {
            ChunkKind::Tick => 1,
            ChunkKind::End => 2,
        };
        for (place, number) in
            bytes[1..17]
                .chunks_exact_mut(4)
                .zip([self.number, self.size, self.length, self.crc])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..17]);
        bytes[17..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when it is not what was written.
    pub(super) fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let kind = match bytes[0] {
            1 => ChunkKind::Tick,
            2 => ChunkKind::End,
            _ => return None,
        };
        let mut numbers = bytes[1..].chunks_exact(4).map(number);
        let mut next = || numbers.next().unwrap_or_default();
        let head = Self {
            kind,
            number: next(),
            size: next(),
            length: next(),
            crc: next(),
        };
        let crc = next();
        (cfg!(fuzzing) || crc == crc32c::crc32c(&bytes[..17])).then_some(head)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map(u32::from_le_bytes).unwrap_or_default()
}
