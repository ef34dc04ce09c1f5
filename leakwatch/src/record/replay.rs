//! The pipeline once more, fed from a recording.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use leakwatch_common::levels::ThreadRow;

use super::{
    answers::{Known, TooMany},
    error::{RecordError, time},
    format::Header,
    frames::KnownFrames,
    numbers,
    reader::{Piece, Reader, Trouble, unreadable},
    tick::{Head, ItemKey, Tick, WishKey},
};
use crate::{
    aggregate::Unwind,
    assemble::Names,
    attribute::{Facts, ProcessFacts},
    decode::CopiedStack,
    limits::{LimitSubject, Limits},
    model::{
        census::{Census, CensusWish, Censuses},
        confirm::{Confirm, Confirmation, Wish},
        health::{AgentHealth, CallSitesHealth},
        identity::ProcessId,
        interest::Interest,
        snapshot::{FrameRow, LimitUse, Snapshot},
        stack::StackId,
    },
    raw::{RawBatch, Reading, Source},
    run::{OwnUse, Pipeline, Probes, ProbesHealth, Stacks, World},
};

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its recorder ended it.
    Whole,
    /// Its recorder was killed, or the end of the file is missing: all whole ticks are there.
    CutShort,
}

/// Snapshots of a recording, the same that were seen live. After an error there are no more.
pub struct Replay<R> {
    header: Header,
    reader: Reader<R>,
    pipeline: Pipeline,
    recorded: Recorded,
    ticks: u32,
    until_unix_ms: Option<u64>,
    /// `None` while there may be more.
    ending: Option<Ending>,
    failed: bool,
}

/// Opens a recording.
///
/// # Errors
/// When it is none, is of a later format, or cannot be read.
pub fn replay(path: &Path) -> Result<Replay<BufReader<File>>, RecordError> {
    Replay::open(BufReader::new(File::open(path).map_err(unreadable)?))
}

impl<R: Read> Replay<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is no recording, is of a later format, or cannot be read.
    pub fn open(input: R) -> Result<Self, RecordError> {
        let (reader, header) = Reader::open(input)?;
        Ok(Self {
            pipeline: Pipeline::new(header.setup.clone()),
            header,
            reader,
            recorded: Recorded::default(),
            ticks: 0,
            until_unix_ms: None,
            ending: None,
            failed: false,
        })
    }

    /// Who recorded, where, and when.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How it ends; `None` before the last tick was read.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Ticks read so far.
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    /// What to tell whoever reads a recording that was cut short; `None` for a whole one, and before its last tick was read.
    pub fn warning(&self) -> Option<String> {
        (self.ending == Some(Ending::CutShort)).then(|| {
            let until = self.until_unix_ms.map(|until| format!(", until {}", time(until)));
            format!(
                "the recording has no end mark: its recorder was killed, or the file is not all there; its {} whole ticks \
                 are used{}",
                self.ticks,
                until.unwrap_or_default()
            )
        })
    }

    /// The last snapshot that is not later than this; the first when all are. `None` when there is none.
    ///
    /// # Errors
    /// When the recording is damaged before that.
    pub fn at(&mut self, unix_ms: u64) -> Result<Option<Snapshot>, RecordError> {
        let mut found: Option<Snapshot> = None;
        for snapshot in self {
            let snapshot = snapshot?;
            if found.is_some() && snapshot.time_unix_ms > unix_ms {
                break;
            }
            found = Some(snapshot);
        }
        Ok(found)
    }

    fn next_snapshot(&mut self) -> Result<Option<Snapshot>, RecordError> {
        let offset = self.reader.offset();
        let tick = match self.reader.next() {
            Ok(Piece::Tick(tick)) => Tick::from_bytes(tick),
            Ok(Piece::End) => {
                self.ending = Some(Ending::Whole);
                return Ok(None);
            }
            Ok(Piece::CutShort) => {
                self.ending = Some(Ending::CutShort);
                return Ok(None);
            }
            Err(Trouble::Io(error)) => return Err(unreadable(error)),
            Err(Trouble::Damaged { offset, what }) => return Err(self.damaged(offset, what)),
        };
        let Some(tick) = tick else {
            return Err(self.damaged(offset, "what a tick holds"));
        };
        let Tick {
            head,
            batches,
            threads,
        } = tick;
        let moment = head.moment;
        let Ok(interest) = self.recorded.apply(head, threads) else {
            return Err(self.damaged(offset, "more answers than can be recorded"));
        };
        let reading = Reading { moment, batches };
        let snapshot = self
            .pipeline
            .tick(&reading, &interest, &mut self.recorded.world());
        self.ticks += 1;
        self.until_unix_ms = Some(moment.unix_ms);
        Ok(Some(snapshot))
    }

    fn damaged(&self, offset: u64, what: &'static str) -> RecordError {
        RecordError::Damaged {
            offset,
            what,
            ticks: self.ticks,
            until_unix_ms: self.until_unix_ms,
        }
    }
}

impl<R: Read> Iterator for Replay<R> {
    type Item = Result<Snapshot, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.ending.is_some() {
            return None;
        }
        let next = self.next_snapshot();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Answers of one tick. What was not asked when it was recorded is not known.
#[derive(Default)]
struct Recorded {
    probes: RecordedProbes,
    stacks: RecordedStacks,
    facts: RecordedFacts,
    limits: RecordedLimits,
    confirmations: Known<WishKey, Option<Confirmation>>,
    censuses: Known<CensusWish, Option<Census>>,
    own_use: Known<(), AgentHealth>,
}

impl Recorded {
    fn apply(&mut self, head: Head, threads: Vec<(u32, Bytes)>) -> Result<Interest, TooMany> {
        self.probes.threads = threads.into_iter().collect();
        self.probes.health.apply(head.probes)?;
        self.stacks.frames.apply(head.frames, head.stacks)?;
        self.stacks.health.apply(head.call_sites)?;
        self.facts.processes.apply(head.processes)?;
        self.facts.users.apply(head.users)?;
        self.facts.items.apply(head.items)?;
        self.facts.not_resident.apply(head.not_resident)?;
        self.limits.processes.apply(head.limits)?;
        self.limits.host.apply(head.host_limits)?;
        self.confirmations.apply(head.confirmations)?;
        self.censuses.apply(head.censuses)?;
        self.own_use.apply(head.own_use)?;
        Ok(head.interest)
    }

    fn world(&mut self) -> World<'_> {
        World {
            probes: &mut self.probes,
            stacks: &mut self.stacks,
            facts: &mut self.facts,
            limits: &mut self.limits,
            confirm: &mut self.confirmations,
            censuses: &mut self.censuses,
            own_use: &mut self.own_use,
        }
    }
}

#[derive(Default)]
struct RecordedProbes {
    threads: HashMap<u32, Bytes>,
    health: Known<(), ProbesHealth>,
}

impl Probes for RecordedProbes {
    fn threads(&mut self, pid: u32) -> Option<RawBatch> {
        self.threads.get(&pid).map(|bytes| RawBatch {
            source: Source::Threads,
            bytes: bytes.clone(),
        })
    }

    fn health(&mut self) -> ProbesHealth {
        self.health.get(&()).cloned().unwrap_or_default()
    }
}

#[derive(Default)]
struct RecordedStacks {
    frames: KnownFrames,
    health: Known<(), CallSitesHealth>,
}

impl Unwind for RecordedStacks {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        numbers::number(stack.taken.pc)
    }

    fn waiting(&mut self, thread: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        numbers::number(thread.pc)
    }
}

impl Names for RecordedStacks {
    fn frames(&mut self, stack: StackId) -> (Vec<FrameRow>, Option<String>) {
        self.frames.get(stack)
    }
}

impl Stacks for RecordedStacks {
    fn health(&mut self) -> CallSitesHealth {
        self.health.get(&()).copied().unwrap_or_default()
    }
}

#[derive(Default)]
struct RecordedFacts {
    processes: Known<u32, ProcessFacts>,
    users: Known<u32, Arc<str>>,
    items: Known<ItemKey, Option<String>>,
    not_resident: Known<u32, Vec<u64>>,
}

impl Facts for RecordedFacts {
    fn process(&mut self, pid: u32) -> ProcessFacts {
        self.processes.get(&pid).cloned().unwrap_or_default()
    }

    fn user(&mut self, uid: u32) -> Arc<str> {
        let known = self.users.get(&uid);
        known.cloned().unwrap_or_else(|| uid.to_string().into())
    }

    fn item(&mut self, pid: u32, kind: &str, item: u64) -> Option<String> {
        self.items.get(&(pid, kind.to_owned(), item)).cloned().flatten()
    }

    fn not_resident(&mut self, pid: u32, pages: &[u64]) -> Vec<u64> {
        let gone: HashSet<u64> = self
            .not_resident
            .get(&pid)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        pages.iter().filter(|page| gone.contains(page)).copied().collect()
    }
}

#[derive(Default)]
struct RecordedLimits {
    processes: Known<ProcessId, Vec<LimitUse>>,
    host: Known<(), Vec<LimitUse>>,
}

impl Limits for RecordedLimits {
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse> {
        self.processes.get(&process.id).cloned().unwrap_or_default()
    }

    fn of_host(&mut self) -> Vec<LimitUse> {
        self.host.get(&()).cloned().unwrap_or_default()
    }
}

impl Confirm for Known<WishKey, Option<Confirmation>> {
    fn confirm(&mut self, _: u64, wish: &Wish) -> Option<Confirmation> {
        let question = (wish.process, wish.resource, wish.kind as u32);
        self.get(&question).cloned().flatten()
    }
}

impl Censuses for Known<CensusWish, Option<Census>> {
    fn census(&mut self, _: u64, wish: &CensusWish) -> Option<Census> {
        self.get(wish).cloned().flatten()
    }
}

impl OwnUse for Known<(), AgentHealth> {
    fn own_use(&mut self) -> AgentHealth {
        self.get(&()).copied().unwrap_or_default()
    }
}
