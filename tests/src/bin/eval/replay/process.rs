//! The process of a case, as the kernel would show it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use leakwatch::{
    aggregate::{Host, Unwind},
    decode::{CopiedStack, Reading},
    detect::{Levels, Observed, SubjectKey},
    model::{
        finding::{Limit, Resource},
        identity::ProcessId,
        snapshot::LimitUse,
        stack::StackId,
    },
    raw::{Moment, SiteReading},
};
use leakwatch_common::{
    kind::Kind,
    levels::{TaskRow, ThreadRow},
};

use super::{kernel::Kernel, looks::Look};
use crate::whole::amount;
use crate::{
    case::{Body, Case, Curve, Item, MIB, Stream, Thing},
    draw::Draw,
};

/// The stack of the call site that a family is about.
pub(super) const LEAKING_STACK: StackId = StackId(1);

/// The process; any numbers that a process may have.
pub(super) const ID: ProcessId = ProcessId {
    pid: 4_242,
    start_time_ns: 1_000_000_000_000,
};

/// Where its memory begins, where what comes and goes in a heap begins, and where what it has lost.
const HEAP: u64 = 0x7000_0000_0000;
const CHURN: u64 = 0x7400_0000_0000;
pub(super) const LOST: u64 = 0x7800_0000_0000;
pub(super) const PAGE: u64 = 4_096;
/// Bytes between two sampled page faults, as leakwatch sets it.
const FAULT_BYTES: u64 = 256 * PAGE;
/// The budget for stacks lets so many faults through in a tick at the most.
const MOST_FAULTS: u64 = 100;

pub(super) struct Simulated<'a> {
    pub(super) case: &'a Case,
    pub(super) draw: Draw,
    pub(super) looks: BTreeMap<(Resource, Kind), Look>,
    /// Things that are held, by descriptor number, thread id or address.
    pub(super) held: BTreeMap<u64, usize>,
    host: Host,
    kernel: Kernel,
    tick: usize,
    levels: Levels,
    load: u64,
    limits: Vec<LimitUse>,
    /// What cannot be held for ever, soonest death last.
    deaths: Vec<(f64, usize)>,
    born: usize,
    /// Number and sample of each thing.
    numbers: Vec<(u64, u32)>,
    free: BinaryHeap<Reverse<u64>>,
    next: u64,
    /// Bytes touched since the last sampled fault.
    touched: u64,
    /// Bytes of a heap: lost, kept, and what comes and goes.
    regions: [u64; 3],
    /// Of a heap's level what is in use and never given back from then on.
    kept: Vec<f64>,
}

/// Stacks by the address that they were taken at.
struct ByAddress;

impl Unwind for ByAddress {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        StackId(u32::try_from(stack.taken.pc).unwrap_or(0))
    }

    fn waiting(&mut self, _: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId::NONE
    }
}

impl<'a> Simulated<'a> {
    pub(super) fn new(case: &'a Case, draw: Draw) -> Self {
        let items: &[Item] = match &case.body {
            Body::Curve(_) => &[],
            Body::Stream(stream) => &stream.items,
        };
        let died = |(index, item): (usize, &Item)| (item.died, index);
        let mut deaths: Vec<_> = items.iter().enumerate().map(died).collect();
        deaths.retain(|(died, _)| died.is_finite());
        deaths.sort_by(|one, other| other.0.total_cmp(&one.0));
        Self {
            case,
            draw,
            looks: BTreeMap::new(),
            held: BTreeMap::new(),
            host: Host::default(),
            kernel: Kernel::new(ID.start_time_ns + amount(case.age * 1e9)),
            tick: 0,
            levels: Levels {
                memory: amount(120.0 * MIB),
                fds: 40,
                threads: 12,
                maps: 300,
            },
            load: 0,
            limits: Vec::new(),
            deaths,
            born: 0,
            numbers: vec![(0, 0); items.len()],
            free: BinaryHeap::new(),
            next: if case.thing.kind() == Kind::Mapping {
                HEAP
            } else {
                1_000
            },
            touched: 0,
            regions: [0; 3],
            kept: kept(case),
        }
    }

    /// The next tick: everything up to it happens, and then it is read.
    pub(super) fn advance(&mut self, tick: usize) {
        let case = self.case;
        self.tick = tick;
        match &case.body {
            Body::Curve(curve) => self.follow(curve, tick - 1),
            Body::Stream(stream) => self.happen(stream, tick as f64 * case.tick),
        }
        self.limits();
        let moment = self.moment();
        let row = self.row();
        let mut apply = |reading| self.host.apply(moment, reading, &mut ByAddress);
        apply(Reading::Tasks(vec![row]));
        apply(Reading::Stacks(self.kernel.stacks.split_off(0)));
        apply(Reading::Records(self.kernel.records.split_off(0)));
        apply(Reading::Sites(self.kernel.counts()));
    }

    pub(super) fn moment(&self) -> Moment {
        let run = (self.case.age + self.tick as f64 * self.case.tick) * 1e9;
        let now_ns = ID.start_time_ns + amount(run);
        Moment {
            monotonic_ns: now_ns,
            boottime_ns: now_ns,
            unix_ms: 1_760_000_000_000 + now_ns / 1_000_000,
        }
    }

    pub(super) fn observed(&self) -> Observed<'_> {
        let counts: &[SiteReading] = self.host.sites();
        Observed {
            subject: SubjectKey::Process(ID),
            program: Some(Arc::from("/usr/bin/simulated")),
            age_ns: self.moment().boottime_ns - ID.start_time_ns,
            levels: self.levels,
            load: self.load,
            limits: &self.limits,
            sites: self.host.process(ID.pid),
            counts,
            blind: false,
        }
    }

    fn happen(&mut self, stream: &Stream, until: f64) {
        loop {
            let birth = stream
                .items
                .get(self.born)
                .map_or(f64::INFINITY, |item| item.born);
            let death = self.deaths.last().map_or(f64::INFINITY, |death| death.0);
            if birth.min(death) > until {
                break;
            }
            // Who dies was born before.
            if birth <= death {
                self.is_born(stream, self.born);
                self.born += 1;
            } else if let Some((_, index)) = self.deaths.pop() {
                self.dies(stream, index);
            }
        }
        let live = self.held.len() as u64;
        let memory = amount(120.0 * MIB * (1.0 + self.draw.normal(0.002)));
        self.levels.memory = memory;
        match self.case.thing {
            Thing::File | Thing::Socket => self.levels.fds = stream.base + live,
            Thing::Thread => {
                self.levels.threads = stream.base + live;
                // Each has a stack, of which it has touched a little, and the guard page below.
                self.levels.maps = 300 + 2 * live;
                self.levels.memory = memory + live * 6 * PAGE;
            }
            Thing::SmallMapping => {
                self.levels.maps = stream.base + live;
                self.levels.memory = memory + live * stream.bytes;
            }
            Thing::Heap | Thing::Mapping => {
                self.levels.maps = 300 + live;
                self.levels.memory = stream.base + live * stream.bytes;
            }
        }
        self.load = self.born as u64;
    }

    fn is_born(&mut self, stream: &Stream, index: usize) {
        let item = stream.items[index];
        let kind = self.case.thing.kind();
        let number = if let Some(Reverse(number)) = self.free.pop() {
            number
        } else {
            let number = self.next;
            // An unmapped page between two mappings, or they would be one.
            self.next += if kind == Kind::Mapping {
                stream.bytes + PAGE
            } else {
                1
            };
            number
        };
        let stack = u64::from(item.site) + u64::from(LEAKING_STACK.0);
        let sample = self.kernel.birth(&mut self.draw, kind, stack, item.born, number);
        self.numbers[index] = (number, sample);
        self.held.insert(number, index);
        if kind == Kind::Mapping {
            self.kernel.mapped(item.born, number, stream.bytes, sample);
            self.touched += stream.bytes;
            while self.touched >= FAULT_BYTES {
                self.touched -= FAULT_BYTES;
                let page = number + stream.bytes.saturating_sub(self.touched + PAGE) / PAGE * PAGE;
                self.kernel.fault(item.born, stack, page, 1);
            }
        }
    }

    fn dies(&mut self, stream: &Stream, index: usize) {
        let item = stream.items[index];
        let (number, sample) = self.numbers[index];
        self.held.remove(&number);
        match self.case.thing.kind() {
            Kind::Mapping => self.kernel.unmapped(item.died, number, stream.bytes),
            kind => {
                // The lowest number that is free is taken first, as the kernel does with descriptors.
                if kind != Kind::Thread {
                    self.free.push(Reverse(number));
                }
                self.kernel.death(kind, (item.born, item.died), number, sample);
            }
        }
    }

    /// What comes and goes grows at its end and shrinks there; the rest stays.
    fn follow(&mut self, curve: &Curve, index: usize) {
        let at = self.tick as f64 * self.case.tick;
        let lost = self.bytes(curve.leaked[index]);
        let kept = self.bytes(self.kept[index]);
        let all = self.bytes(curve.level[index]).max(lost + kept);
        let now = [lost, kept, all - lost - kept];
        let stacks = u64::from(LEAKING_STACK.0)..;
        let sizes = self.regions.into_iter().zip(now);
        for ((stack, begin), size) in stacks.zip([LOST, HEAP, CHURN]).zip(sizes) {
            self.resize(at, begin, size, stack);
        }
        self.regions = now;
        self.levels.memory = all;
        let requests = amount(curve.load[index] * 100.0);
        self.kernel.work(requests, at);
        self.load += requests;
    }

    fn bytes(&self, share: f64) -> u64 {
        amount(share * self.case.limit as f64) / PAGE * PAGE
    }

    fn resize(&mut self, at: f64, begin: u64, (before, now): (u64, u64), stack: u64) {
        if now < before {
            self.kernel.discarded(at, begin + now, before - now);
            return;
        }
        let faults = now / FAULT_BYTES - before / FAULT_BYTES;
        let weight = faults.div_ceil(MOST_FAULTS).max(1);
        let first = begin + (before / FAULT_BYTES + 1) * FAULT_BYTES - PAGE;
        for fault in 0..faults / weight {
            self.kernel
                .fault(at, stack, first + fault * weight * FAULT_BYTES, weight);
        }
    }

    fn limits(&mut self) {
        let usual = [
            (Resource::Memory, "memory.max of /service", 64 << 30),
            (Resource::Fd, "RLIMIT_NOFILE", 65_536),
            (Resource::Thread, "pids.max of /service", 32_768),
            (Resource::Maps, "vm.max_map_count", 65_530),
        ];
        let of = |(resource, name, usual): (Resource, &str, u64)| LimitUse {
            resource,
            limit: Limit {
                name: Arc::from(name),
                value: if resource == self.case.thing.resource() {
                    self.case.limit
                } else {
                    usual
                },
                in_use: self.levels.of(resource),
            },
        };
        self.limits = usual.into_iter().map(of).collect();
    }

    fn row(&self) -> TaskRow {
        let count = |level: u64| u32::try_from(level).unwrap_or(u32::MAX);
        TaskRow {
            start_boottime_ns: ID.start_time_ns,
            cgroup_id: 1,
            nofile_soft: 65_536,
            rss_anon_bytes: self.levels.memory,
            rss_file_bytes: 0,
            rss_shmem_bytes: 0,
            swap_bytes: 0,
            total_vm_bytes: self.levels.memory,
            start_brk: PAGE,
            brk: PAGE,
            tgid: ID.pid,
            parent_tgid: 1,
            euid: 0,
            exec_id: 0,
            threads: count(self.levels.threads),
            fds: count(self.levels.fds),
            map_count: count(self.levels.maps),
            flags: 0,
            comm: *b"simulated\0\0\0\0\0\0\0",
        }
    }
}

/// The part of a level in use that no later fall goes below.
fn kept(case: &Case) -> Vec<f64> {
    let Body::Curve(curve) = &case.body else {
        return Vec::new();
    };
    let in_use = curve
        .level
        .iter()
        .zip(&curve.leaked)
        .map(|(level, leaked)| level - leaked);
    let mut least = f64::INFINITY;
    let mut kept: Vec<f64> = in_use
        .rev()
        .map(|in_use| {
            least = least.min(in_use);
            least
        })
        .collect();
    kept.reverse();
    kept
}
