//! Listens to what a tick asks and is answered, and writes it down.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use leakwatch_common::levels::ThreadRow;

use super::{
    answers::Asked,
    error::RecordError,
    format::Header,
    frames::AskedFrames,
    numbers::Numbers,
    tick::{Head, ItemKey, Tick, WishKey},
    writer::Writer,
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
        snapshot::{FrameRow, LimitUse},
        stack::StackId,
    },
    raw::{RawBatch, Reading},
    run::{OwnUse, Probes, ProbesHealth, Stacks, World},
};

/// Records ticks. Each is in the file when [`Recorder::write`] returns; dropping the recorder marks the end.
pub struct Recorder<W: Write> {
    writer: Writer<W>,
    heard: Heard,
}

/// What was heard in one tick, and, of what can last, in the one before.
#[derive(Debug, Default)]
struct Heard {
    probes: HeardProbes,
    stacks: HeardStacks,
    facts: HeardFacts,
    limits: HeardLimits,
    confirmations: Asked<WishKey, Option<Confirmation>>,
    censuses: Asked<CensusWish, Option<Census>>,
    own_use: Asked<(), AgentHealth>,
}

impl<W: Write> Recorder<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(output: W, header: &Header) -> Result<Self, RecordError> {
        Ok(Self {
            writer: Writer::begin(output, header)?,
            heard: Heard::default(),
        })
    }

    /// Runs a tick, or assembles one again, in a world that listens to the one given.
    pub fn listen<T>(&mut self, world: World<'_>, tick: impl FnOnce(&mut World<'_>) -> T) -> T {
        let heard = &mut self.heard;
        heard.stacks.frames.again();
        let World {
            probes,
            stacks,
            facts,
            limits,
            confirm,
            censuses,
            own_use,
        } = world;
        tick(&mut World {
            probes: &mut Listening(probes, &mut heard.probes),
            stacks: &mut Listening(stacks, &mut heard.stacks),
            facts: &mut Listening(facts, &mut heard.facts),
            limits: &mut Listening(limits, &mut heard.limits),
            confirm: &mut Listening(confirm, &mut heard.confirmations),
            censuses: &mut Listening(censuses, &mut heard.censuses),
            own_use: &mut Listening(own_use, &mut heard.own_use),
        })
    }

    /// Writes the tick that was listened to.
    ///
    /// # Errors
    /// When the system refuses, or the tick is too large.
    pub fn write(&mut self, reading: &Reading, interest: &Interest) -> Result<(), RecordError> {
        let Heard {
            probes,
            stacks,
            facts,
            limits,
            confirmations,
            censuses,
            own_use,
        } = &mut self.heard;
        let numbers = std::mem::take(&mut stacks.numbers);
        let record = |batch: &RawBatch| RawBatch {
            source: batch.source,
            bytes: numbers.instead_of(batch),
        };
        let threads = std::mem::take(&mut probes.threads);
        let threads = threads
            .iter()
            .filter_map(|(pid, answer)| Some((*pid, answer.as_ref()?)));
        let (frames, known_stacks) = stacks.frames.changes();
        let tick = Tick {
            batches: reading.batches.iter().map(record).collect(),
            threads: threads
                .map(|(pid, batch)| (pid, numbers.instead_of(batch)))
                .collect(),
            head: Head {
                moment: reading.moment,
                interest: interest.clone(),
                processes: facts.processes.changes(),
                users: facts.users.changes(),
                items: facts.items.changes(),
                not_resident: facts.not_resident.changes(),
                frames,
                stacks: known_stacks,
                call_sites: stacks.health.changes(),
                probes: probes.health.changes(),
                limits: limits.processes.changes(),
                host_limits: limits.host.changes(),
                confirmations: confirmations.changes(),
                censuses: censuses.changes(),
                own_use: own_use.changes(),
            },
        };
        let bytes = tick.to_bytes().map_err(|error| RecordError::Io {
            what: "write to",
            source: error.into(),
        })?;
        self.writer.tick(&bytes)
    }
}

/// Somebody who answers, and what was heard of it.
struct Listening<'a, T: ?Sized, H>(&'a mut T, &'a mut H);

#[derive(Debug, Default)]
struct HeardProbes {
    threads: BTreeMap<u32, Option<RawBatch>>,
    health: Asked<(), ProbesHealth>,
}

impl Probes for Listening<'_, dyn Probes + '_, HeardProbes> {
    fn threads(&mut self, pid: u32) -> Option<RawBatch> {
        let Self(probes, heard) = self;
        let answer = heard.threads.entry(pid).or_insert_with(|| probes.threads(pid));
        answer.clone()
    }

    fn health(&mut self) -> ProbesHealth {
        self.1.health.ask((), || self.0.health())
    }
}

#[derive(Debug, Default)]
struct HeardStacks {
    numbers: Numbers,
    frames: AskedFrames,
    health: Asked<(), CallSitesHealth>,
}

impl Unwind for Listening<'_, dyn Stacks + '_, HeardStacks> {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        let id = self.0.copied(stack);
        self.1.numbers.birth(&stack.taken, id);
        id
    }

    fn waiting(&mut self, thread: &ThreadRow, process: ProcessId, exec_id: u32) -> StackId {
        let id = self.0.waiting(thread, process, exec_id);
        self.1.numbers.waiting(thread, id);
        id
    }
}

impl Names for Listening<'_, dyn Stacks + '_, HeardStacks> {
    fn frames(&mut self, stack: StackId) -> (Vec<FrameRow>, Option<String>) {
        self.1.frames.ask(stack, || self.0.frames(stack))
    }
}

impl Stacks for Listening<'_, dyn Stacks + '_, HeardStacks> {
    fn health(&mut self) -> CallSitesHealth {
        self.1.health.ask((), || self.0.health())
    }
}

#[derive(Debug, Default)]
struct HeardFacts {
    processes: Asked<u32, ProcessFacts>,
    users: Asked<u32, Arc<str>>,
    items: Asked<ItemKey, Option<String>>,
    not_resident: Asked<u32, Vec<u64>>,
}

impl Facts for Listening<'_, dyn Facts + '_, HeardFacts> {
    fn process(&mut self, pid: u32) -> ProcessFacts {
        self.1.processes.ask(pid, || self.0.process(pid))
    }

    fn user(&mut self, uid: u32) -> Arc<str> {
        self.1.users.ask(uid, || self.0.user(uid))
    }

    fn item(&mut self, pid: u32, kind: &str, item: u64) -> Option<String> {
        let question = (pid, kind.to_owned(), item);
        self.1.items.ask(question, || self.0.item(pid, kind, item))
    }

    fn not_resident(&mut self, pid: u32, pages: &[u64]) -> Vec<u64> {
        self.1.not_resident.ask(pid, || self.0.not_resident(pid, pages))
    }
}

#[derive(Debug, Default)]
struct HeardLimits {
    processes: Asked<ProcessId, Vec<LimitUse>>,
    host: Asked<(), Vec<LimitUse>>,
}

impl Limits for Listening<'_, dyn Limits + '_, HeardLimits> {
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse> {
        self.1.processes.ask(process.id, || self.0.of_process(process))
    }

    fn of_host(&mut self) -> Vec<LimitUse> {
        self.1.host.ask((), || self.0.of_host())
    }
}

impl Censuses for Listening<'_, dyn Censuses + '_, Asked<CensusWish, Option<Census>>> {
    fn census(&mut self, now_ns: u64, wish: &CensusWish) -> Option<Census> {
        self.1.ask(*wish, || self.0.census(now_ns, wish))
    }
}

impl Confirm for Listening<'_, dyn Confirm + '_, Asked<WishKey, Option<Confirmation>>> {
    fn confirm(&mut self, now_ns: u64, wish: &Wish) -> Option<Confirmation> {
        let question = (wish.process, wish.resource, wish.kind as u32);
        self.1.ask(question, || self.0.confirm(now_ns, wish))
    }
}

impl OwnUse for Listening<'_, dyn OwnUse + '_, Asked<(), AgentHealth>> {
    fn own_use(&mut self) -> AgentHealth {
        self.1.ask((), || self.0.own_use())
    }
}
