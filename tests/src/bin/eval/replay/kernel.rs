//! What leakwatch's probes would have sent: sampled births with their stacks, deaths of what was sampled, every change of an
//! address space, and exact counts.

use std::collections::BTreeMap;

use bytemuck::Zeroable as _;
use bytes::Bytes;
use leakwatch::{
    decode::{CopiedStack, Record},
    raw::SiteReading,
};
use leakwatch_common::{
    kind::Kind,
    record::{AddressSpaceChanged, FdClosed, Header, RecordKind, ThreadEnded},
    site::{SiteCounts, SiteKey},
    stack::{NO_SAMPLE, StackTaken},
};

use super::process::ID;
use crate::draw::Draw;
use crate::whole::{amount, count};

/// Time between two samples of one class of births at the most often, seconds: a quarter of 100 stacks a second.
const CLASS_INTERVAL: f64 = 0.04;
const JIFFY: f64 = 0.004;

pub(super) struct Kernel {
    /// When the case begins, nanoseconds of the programs' clock.
    origin_ns: u64,
    pub(super) stacks: Vec<CopiedStack>,
    pub(super) records: Vec<Record>,
    counts: BTreeMap<Kind, SiteCounts>,
    classes: BTreeMap<(Kind, u64), Class>,
    samples: u32,
}

/// As `leakwatch-ebpf/src/stack.rs` keeps it.
#[derive(Default)]
struct Class {
    sampled_at: f64,
    births: u32,
    turn: u32,
}

impl Kernel {
    pub(super) fn new(origin_ns: u64) -> Self {
        Self {
            origin_ns,
            stacks: Vec::new(),
            records: Vec::new(),
            counts: BTreeMap::new(),
            classes: BTreeMap::new(),
            samples: 0,
        }
    }

    /// Something is born; returns its sample.
    pub(super) fn birth(&mut self, draw: &mut Draw, kind: Kind, stack: u64, at: f64, item: u64) -> u32 {
        let now_ns = self.ns(at);
        let counts = self.counts_of(kind, at);
        counts.born += 1;
        counts.last_birth_ns = now_ns;
        let class = self.classes.entry((kind, stack)).or_default();
        class.births += 1;
        if class.births < class.turn {
            return NO_SAMPLE;
        }
        let weight = class.births;
        let due = f64::from(weight) * CLASS_INTERVAL / (at - class.sampled_at).max(JIFFY);
        class.turn = 1 + u32::try_from(draw.below(2 * count(due) + 1)).unwrap_or(u32::MAX - 1);
        class.sampled_at = at;
        class.births = 0;
        self.sample(kind, stack, at, item, weight)
    }

    /// A sampled page fault.
    pub(super) fn fault(&mut self, at: f64, stack: u64, address: u64, weight: u64) {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        self.counts_of(Kind::FirstTouch, at).born += u64::from(weight);
        self.sample(Kind::FirstTouch, stack, at, address, weight);
    }

    /// Requests that open a socket and close it, too short for any tick to see.
    pub(super) fn work(&mut self, requests: u64, at: f64) {
        let counts = self.counts_of(Kind::Socket, at);
        counts.born += requests;
        counts.died += requests;
    }

    pub(super) fn death(&mut self, kind: Kind, (born, died): (f64, f64), number: u64, sample: u32) {
        let counts = self.counts_of(kind, died);
        counts.died += 1;
        counts.lifetime_ns += amount((died - born) * 1e9);
        if sample == NO_SAMPLE {
            return;
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.records.push(if kind == Kind::Thread {
            Record::ThreadEnded(ThreadEnded {
                header: self.header(RecordKind::ThreadEnded, died),
                birth_ns: self.ns(born),
                sample,
                tid: number,
            })
        } else {
            Record::FdClosed(FdClosed {
                header: self.header(RecordKind::FdClosed, died),
                birth_ns: self.ns(born),
                sample,
                fd: number,
            })
        });
    }

    pub(super) fn mapped(&mut self, at: f64, addr: u64, len: u64, sample: u32) {
        self.counts_of(Kind::Mapping, at).bytes += len;
        let change = self.change(RecordKind::Mapped, at, addr, len, sample);
        self.records.push(Record::Mapped(change));
    }

    pub(super) fn unmapped(&mut self, at: f64, addr: u64, len: u64) {
        self.counts_of(Kind::Unmapping, at).born += 1;
        let change = self.change(RecordKind::Unmapped, at, addr, len, NO_SAMPLE);
        self.records.push(Record::Unmapped(change));
    }

    pub(super) fn discarded(&mut self, at: f64, addr: u64, len: u64) {
        self.counts_of(Kind::Discard, at).born += 1;
        let change = self.change(RecordKind::Discarded, at, addr, len, NO_SAMPLE);
        self.records.push(Record::Discarded(change));
    }

    pub(super) fn counts(&self) -> Vec<SiteReading> {
        let reading = |(index, &counts)| SiteReading {
            counts,
            index,
            reserved: 0,
        };
        (1..).zip(self.counts.values()).map(reading).collect()
    }

    fn sample(&mut self, kind: Kind, stack: u64, at: f64, item: u64, weight: u32) -> u32 {
        self.samples += 1;
        self.stacks.push(CopiedStack {
            taken: StackTaken {
                start_boottime_ns: ID.start_time_ns,
                time_ns: self.ns(at),
                item,
                pc: stack,
                tgid: ID.pid,
                tid: ID.pid,
                sample: self.samples,
                kind: kind as u32,
                weight,
                ..StackTaken::zeroed()
            },
            memory: Bytes::new(),
            frames: Vec::new(),
        });
        self.samples
    }

    fn counts_of(&mut self, kind: Kind, at: f64) -> &mut SiteCounts {
        let created_ns = self.ns(at);
        self.counts.entry(kind).or_insert_with(|| SiteCounts {
            key: SiteKey {
                start_boottime_ns: ID.start_time_ns,
                exec_id: 0,
                tgid: ID.pid,
                kind: kind as u32,
                reserved: 0,
            },
            born: 0,
            died: 0,
            bytes: 0,
            lifetime_ns: 0,
            created_ns,
            last_birth_ns: created_ns,
        })
    }

    fn ns(&self, at: f64) -> u64 {
        self.origin_ns + amount(at * 1e9)
    }

    fn header(&self, kind: RecordKind, at: f64) -> Header {
        Header {
            kind: kind as u32,
            tgid: ID.pid,
            time_ns: self.ns(at),
        }
    }

    fn change(&self, kind: RecordKind, at: f64, addr: u64, len: u64, sample: u32) -> AddressSpaceChanged {
        AddressSpaceChanged {
            header: self.header(kind, at),
            addr,
            len,
            sample,
            reserved: 0,
        }
    }
}
