//! One process as the kernel would show it, and somebody who looks closely.

use std::sync::Arc;

use bytes::Bytes;
use leakwatch_common::{
    counter::Counter,
    kind::Kind,
    levels::TaskRow,
    record::{FdClosed, Header, RecordKind},
    stack::StackTaken,
};

use crate::{
    aggregate::{Host, Unwind},
    decode::{CopiedStack, Reading, Record, Totals},
    detect::{Detection, Judgement, Levels, Observed, SubjectKey},
    model::{
        confirm::{Confirmation, Wish},
        finding::{Limit, Resource},
        identity::ProcessId,
        snapshot::LimitUse,
        stack::StackId,
    },
    raw::Moment,
};

pub(super) const SECOND_NS: u64 = 1_000_000_000;
pub(super) const MIB: u64 = 1 << 20;

/// What a closer look shows.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Seen {
    Nothing,
    Stale,
    Touched,
    CloseWait,
    SameFile,
    WaitingAlike,
}

pub(super) struct World {
    pub(super) detection: Detection,
    pub(super) host: Host,
    pub(super) id: ProcessId,
    pub(super) levels: Levels,
    pub(super) seen: Seen,
    pub(super) blind: bool,
    deaths_lost: u64,
    pub(super) limit: u64,
    /// Bytes; 0 for none.
    pub(super) memory_limit: u64,
    /// Age of the process at second 0.
    pub(super) age: u64,
    pub(super) second: u64,
    pub(super) stacks: Vec<CopiedStack>,
    pub(super) records: Vec<Record>,
    /// When a look was asked for.
    asked: Option<u64>,
    samples: u32,
    load: u64,
}

struct ByAddress;

impl Unwind for ByAddress {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        StackId(u32::try_from(stack.taken.pc).unwrap())
    }

    fn waiting(&mut self, _: &leakwatch_common::levels::ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId::NONE
    }
}

impl World {
    pub(super) fn new(age: u64, seen: Seen) -> Self {
        let mut world = Self {
            detection: Detection::default(),
            host: Host::default(),
            id: ProcessId {
                pid: 42,
                start_time_ns: 1_000 * SECOND_NS,
            },
            levels: Levels {
                memory: 100 * MIB,
                fds: 20,
                threads: 4,
                maps: 100,
            },
            seen,
            blind: false,
            deaths_lost: 0,
            limit: 1_024,
            memory_limit: 0,
            age,
            second: 0,
            stacks: Vec::new(),
            records: Vec::new(),
            asked: None,
            samples: 0,
            load: 0,
        };
        world.tick();
        world
    }

    pub(super) fn moment(&self) -> Moment {
        let now_ns = self.id.start_time_ns + (self.age + self.second) * SECOND_NS;
        Moment {
            monotonic_ns: now_ns,
            boottime_ns: now_ns,
            unix_ms: now_ns / 1_000_000,
        }
    }

    /// Something is taken by `stack`; returns its sample.
    pub(super) fn born(&mut self, kind: Kind, stack: u32, item: u64) -> u32 {
        self.samples += 1;
        self.load += 1;
        let taken = StackTaken {
            start_boottime_ns: self.id.start_time_ns,
            time_ns: self.moment().monotonic_ns,
            item,
            pc: u64::from(stack),
            sp: 0,
            fp: 0,
            lr: 0,
            tgid: self.id.pid,
            exec_id: 0,
            tid: self.id.pid,
            sample: self.samples,
            kind: kind as u32,
            weight: 1,
            len: 0,
            frames: 0,
        };
        self.stacks.push(CopiedStack {
            taken,
            memory: Bytes::new(),
            frames: Vec::new(),
        });
        match kind {
            Kind::Thread => self.levels.threads += 1,
            Kind::FirstTouch => self.levels.memory += MIB,
            _ => self.levels.fds += 1,
        }
        self.samples
    }

    /// A descriptor is closed.
    pub(super) fn closed(&mut self, sample: u32, lifetime_ms: u64) {
        let time_ns = self.moment().monotonic_ns;
        self.levels.fds -= 1;
        self.records.push(Record::FdClosed(FdClosed {
            header: Header {
                kind: RecordKind::FdClosed as u32,
                tgid: self.id.pid,
                time_ns,
            },
            birth_ns: time_ns - lifetime_ms * 1_000_000,
            sample,
            fd: 0,
        }));
    }

    /// One second passes, in which a death was lost.
    pub(super) fn lose(&mut self) {
        self.deaths_lost += 1;
        self.blind = true;
        self.tick();
        self.blind = false;
    }

    /// One second passes, and everything is read and judged.
    pub(super) fn tick(&mut self) {
        self.second += 1;
        let moment = self.moment();
        let row = self.row();
        let (stacks, records) = (
            std::mem::take(&mut self.stacks),
            std::mem::take(&mut self.records),
        );
        let mut apply = |reading| self.host.apply(moment, reading, &mut ByAddress);
        apply(Reading::Tasks(vec![row]));
        apply(Reading::Stacks(stacks));
        apply(Reading::Records(records));
        apply(Reading::Totals(Totals::of(
            Counter::DeathsDropped,
            self.deaths_lost,
        )));
        let limit = |resource, name: &str, value| LimitUse {
            resource,
            limit: Limit {
                name: Arc::from(name),
                value,
                in_use: self.levels.of(resource),
            },
        };
        let mut limits = vec![limit(Resource::Fd, "RLIMIT_NOFILE", self.limit)];
        if self.memory_limit > 0 {
            limits.push(limit(Resource::Memory, "memory.max", self.memory_limit));
        }
        let observed = Observed {
            subject: SubjectKey::Process(self.id),
            program: Some(Arc::from("build-id")),
            age_ns: (self.age + self.second) * SECOND_NS,
            levels: self.levels,
            load: self.load,
            limits: &limits,
            sites: self.host.process(self.id.pid),
            counts: &[],
            blind: self.blind,
        };
        self.detection.update(moment, std::iter::once(observed));
        self.look();
    }

    /// Two looks, ten seconds apart.
    fn look(&mut self) {
        let Some(wish) = self.detection.wishes().first().cloned() else {
            return;
        };
        let asked = *self.asked.get_or_insert(self.second);
        if self.seen == Seen::Nothing || self.second < asked + 10 {
            return;
        }
        self.asked = None;
        let now_ns = self.moment().monotonic_ns;
        self.detection.confirmed(now_ns, &self.answer(&wish));
    }

    /// A look that nobody asked for shows that what is overdue is used.
    pub(super) fn found_in_use(&mut self, resource: Resource) {
        let confirmation = Confirmation {
            process: self.id,
            resource,
            kind: Kind::Socket,
            looked_at: 64,
            stale: 0,
            touched: 64,
            close_wait: 0,
            same_file: 0,
            waiting_alike: 0,
        };
        self.detection
            .confirmed(self.moment().monotonic_ns, &confirmation);
    }

    fn answer(&self, wish: &Wish) -> Confirmation {
        let count = u32::try_from(wish.items.len()).unwrap();
        let all_if = |seen: Seen| if self.seen == seen { count } else { 0 };
        Confirmation {
            process: wish.process,
            resource: wish.resource,
            kind: wish.kind,
            looked_at: count,
            stale: all_if(Seen::Stale),
            touched: all_if(Seen::Touched),
            close_wait: all_if(Seen::CloseWait),
            same_file: all_if(Seen::SameFile),
            waiting_alike: all_if(Seen::WaitingAlike),
        }
    }

    pub(super) fn judgement(&self, resource: Resource) -> Option<Judgement> {
        let mut judgements = self.detection.judgements().into_iter();
        judgements.find(|judgement| judgement.resource == resource)
    }

    fn row(&self) -> TaskRow {
        let count = |level: u64| u32::try_from(level).unwrap();
        TaskRow {
            start_boottime_ns: self.id.start_time_ns,
            rss_anon_bytes: self.levels.memory,
            tgid: self.id.pid,
            threads: count(self.levels.threads),
            fds: count(self.levels.fds),
            map_count: count(self.levels.maps),
            nofile_soft: self.limit,
            ..bytemuck::Zeroable::zeroed()
        }
    }
}
