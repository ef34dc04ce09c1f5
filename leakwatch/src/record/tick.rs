//! What a recording holds of one tick.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{answers::Changes, format::MAX_TICK};
use crate::{
    attribute::ProcessFacts,
    model::{
        census::{Census, CensusWish},
        confirm::Confirmation,
        finding::Resource,
        health::{AgentHealth, CallSitesHealth},
        identity::ProcessId,
        interest::Interest,
        snapshot::{FrameRow, LimitUse},
        stack::StackId,
    },
    raw::{Moment, RawBatch, Source},
    run::ProbesHealth,
};

/// Frames of a stack by their numbers, and why they are not all.
pub(super) type Numbered = (Vec<u32>, Option<String>);
/// A thing that a process holds: pid, kind, item.
pub(super) type ItemKey = (u32, String, u64);

/// Things that were looked at closely: whose, what they count as, and the discriminant of their kind.
pub(super) type WishKey = (ProcessId, Resource, u32);

/// One tick.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) head: Head,
    /// Of the reading.
    pub(super) batches: Vec<RawBatch>,
    /// Of the answers about threads, by pid.
    pub(super) threads: Vec<(u32, Bytes)>,
}

/// What of a tick is not rows. A field for each question of each effect in [`crate::run::World`]; a later format adds fields,
/// and what is not there was not answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    pub(super) moment: Moment,
    pub(super) interest: Interest,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) processes: Changes<u32, ProcessFacts>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) users: Changes<u32, Arc<str>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) items: Changes<ItemKey, Option<String>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) not_resident: Changes<u32, Vec<u64>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) frames: Changes<u32, FrameRow>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) stacks: Changes<StackId, Numbered>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) call_sites: Changes<(), CallSitesHealth>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) probes: Changes<(), ProbesHealth>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) limits: Changes<ProcessId, Vec<LimitUse>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) host_limits: Changes<(), Vec<LimitUse>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) confirmations: Changes<WishKey, Option<Confirmation>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) censuses: Changes<CensusWish, Option<Census>>,
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub(super) own_use: Changes<(), AgentHealth>,
}

/// Most batches of a tick: a reading has ten, and each process that somebody looks at one.
const MAX_BATCHES: usize = 100_000;

impl Tick {
    /// Length of the head as JSON, the head, and the batches: source, pid if they are an answer, length, bytes.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let head = serde_json::to_vec(&self.head)?;
        let mut bytes = Vec::new();
        put(&mut bytes, &head);
        for batch in &self.batches {
            bytes.push(code(batch.source));
            bytes.extend(0_u32.to_le_bytes());
            put(&mut bytes, &batch.bytes);
        }
        for (pid, rows) in &self.threads {
            bytes.push(code(Source::Threads));
            bytes.extend(pid.to_le_bytes());
            put(&mut bytes, rows);
        }
        Ok(bytes)
    }

    /// `None` when it is not what [`Tick::to_bytes`] makes.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = Bytes::from(bytes);
        let head = take_piece(&mut rest)?;
        let mut tick = Self {
            head: serde_json::from_slice(&head).ok()?,
            batches: Vec::new(),
            threads: Vec::new(),
        };
        while !rest.is_empty() {
            let source = source(take(&mut rest, 1)?[0])?;
            let pid = number(&mut rest)?;
            let bytes = take_piece(&mut rest)?;
            if pid == 0 {
                tick.batches.push(RawBatch { source, bytes });
            } else if source == Source::Threads {
                tick.threads.push((pid, bytes));
            } else {
                return None;
            }
            if tick.batches.len() + tick.threads.len() > MAX_BATCHES {
                return None;
            }
        }
        Some(tick)
    }
}

/// A piece and its length. One that is too long makes its tick too long, which is refused as a whole.
fn put(bytes: &mut Vec<u8>, piece: &[u8]) {
    let length = u32::try_from(piece.len()).unwrap_or(MAX_TICK);
    bytes.extend(length.to_le_bytes());
    bytes.extend(piece);
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn number(rest: &mut Bytes) -> Option<u32> {
    let bytes = take(rest, 4)?;
    Some(u32::from_le_bytes(bytes[..].try_into().ok()?))
}

fn take_piece(rest: &mut Bytes) -> Option<Bytes> {
    let length = number(rest)?;
    take(rest, length as usize)
}

/// Numbers in files: they stay.
const SOURCES: [Source; 8] = [
    Source::Tasks,
    Source::Files,
    Source::Vmas,
    Source::Threads,
    Source::Stacks,
    Source::Sites,
    Source::Records,
    Source::Counters,
];

fn code(source: Source) -> u8 {
    match source {
        Source::Tasks => 0,
        Source::Files => 1,
        Source::Vmas => 2,
        Source::Threads => 3,
        Source::Stacks => 4,
        Source::Sites => 5,
        Source::Records => 6,
        Source::Counters => 7,
    }
}

fn source(code: u8) -> Option<Source> {
    SOURCES.get(usize::from(code)).copied()
}
