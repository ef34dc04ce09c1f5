//! A host that never was: what it reads and answers depends on the tick and on how often it was asked.

use std::{fmt::Write as _, sync::Arc};

use bytemuck::{Pod, Zeroable as _, bytes_of};
use bytes::Bytes;
use leakwatch_common::{
    counter::{Budget, Counter},
    kind::Kind,
    levels::{TaskRow, ThreadRow},
    record::{FdClosed, Header, RecordKind},
    site::{SiteCounts, SiteKey},
    stack::StackTaken,
};

use crate::{
    aggregate::Unwind,
    assemble::Names,
    attribute::{Facts, ProcessFacts},
    decode::CopiedStack,
    limits::{LimitSubject, Limits},
    model::{
        census::{Census, CensusRow, CensusWish, Censuses, Counted, RuntimeView},
        confirm::{Confirm, Confirmation, Wish},
        finding::{Limit, Resource},
        health::{AgentHealth, CallSitesHealth},
        identity::ProcessId,
        interest::Interest,
        snapshot::{FrameRow, LimitUse},
        stack::StackId,
    },
    raw::{Moment, RawBatch, Reading, SiteReading, Source},
    run::{OwnUse, Probes, ProbesHealth, Stacks, World},
};

/// Stands in the memory and in the registers of every process.
pub(super) const SECRET: &[u8; 8] = b"hunter2!";
const START_NS: u64 = 1_000_000_000;
const PIDS: std::ops::Range<u32> = 100..106;

/// Parts, so that a world can borrow each.
#[derive(Default)]
pub(super) struct Host {
    probes: FakeProbes,
    stacks: FakeStacks,
    facts: FakeFacts,
    limits: FakeLimits,
    looks: FakeLooks,
    books: FakeBooks,
    own_use: FakeUse,
}

impl Host {
    pub(super) fn world(&mut self) -> World<'_> {
        World {
            probes: &mut self.probes,
            stacks: &mut self.stacks,
            facts: &mut self.facts,
            limits: &mut self.limits,
            confirm: &mut self.looks,
            censuses: &mut self.books,
            own_use: &mut self.own_use,
        }
    }
}

/// Somebody looks at all processes, and now and then closely at one.
pub(super) fn interest(tick: u64) -> Interest {
    Interest {
        fd_kinds_of_all: true,
        fd_kinds_of: tick.is_multiple_of(3).then_some(101).into_iter().collect(),
        limits_of_all: tick.is_multiple_of(2),
    }
}

pub(super) fn reading(tick: u64) -> Reading {
    let now_ns = (10 + tick) * 1_000_000_000;
    Reading {
        moment: Moment {
            monotonic_ns: now_ns,
            boottime_ns: now_ns + 5,
            unix_ms: 1_760_000_000_000 + tick * 1000,
        },
        batches: vec![
            batch(Source::Sites, PIDS.map(|pid| site(pid, tick))),
            batch(Source::Tasks, PIDS.map(|pid| task(pid, tick))),
            batch(
                Source::Counters,
                (0..Counter::COUNT + Budget::COUNT).map(|at| at as u64 * tick % 7),
            ),
            RawBatch {
                source: Source::Stacks,
                bytes: PIDS.flat_map(|pid| stack(pid, tick)).collect(),
            },
            batch(
                Source::Records,
                PIDS.filter(|pid| pid % 2 == 0).map(|pid| closed(pid, tick)),
            ),
        ],
    }
}

fn batch<T: Pod>(source: Source, rows: impl Iterator<Item = T>) -> RawBatch {
    let bytes: Vec<u8> = rows.flat_map(|row| bytes_of(&row).to_vec()).collect();
    RawBatch {
        source,
        bytes: Bytes::from(bytes),
    }
}

fn secret() -> u64 {
    u64::from_le_bytes(*SECRET)
}

fn task(pid: u32, tick: u64) -> TaskRow {
    let mut comm = [0; 16];
    comm[..5].copy_from_slice(b"leaky");
    TaskRow {
        start_boottime_ns: START_NS,
        rss_anon_bytes: (1 << 20) * (u64::from(pid) + tick),
        nofile_soft: 1024,
        tgid: pid,
        parent_tgid: 1,
        euid: pid % 3,
        // One of them starts another program half-way.
        exec_id: u32::from(pid == 103 && tick > 10),
        threads: 2,
        fds: 10 + u32::try_from(tick).expect("few"),
        comm,
        ..TaskRow::zeroed()
    }
}

fn site(pid: u32, tick: u64) -> SiteReading {
    let key = SiteKey {
        start_boottime_ns: START_NS,
        exec_id: u32::from(pid == 103 && tick > 10),
        tgid: pid,
        kind: Kind::Socket as u32,
        reserved: 0,
    };
    SiteReading {
        counts: SiteCounts {
            key,
            born: 3 * tick,
            died: tick,
            ..SiteCounts::zeroed()
        },
        index: pid,
        reserved: 0,
    }
}

fn stack(pid: u32, tick: u64) -> Vec<u8> {
    let taken = StackTaken {
        start_boottime_ns: START_NS,
        time_ns: tick,
        item: 10 + tick,
        pc: secret(),
        sp: secret(),
        fp: secret(),
        lr: secret(),
        tgid: pid,
        exec_id: u32::from(pid == 103 && tick > 10),
        tid: pid,
        sample: sample(pid, tick),
        kind: Kind::Socket as u32,
        weight: 3,
        len: 32,
        frames: 0,
    };
    [bytes_of(&taken), &SECRET.repeat(4)].concat()
}

fn closed(pid: u32, tick: u64) -> FdClosed {
    FdClosed {
        header: Header {
            kind: RecordKind::FdClosed as u32,
            tgid: pid,
            time_ns: tick * 1_000_000_000,
        },
        birth_ns: 0,
        sample: sample(pid, tick),
        fd: 10,
    }
}

fn sample(pid: u32, tick: u64) -> u32 {
    pid * 1000 + u32::try_from(tick).expect("few")
}

#[derive(Default)]
struct FakeProbes {
    asked: u64,
}

impl Probes for FakeProbes {
    fn threads(&mut self, pid: u32) -> Option<RawBatch> {
        let thread = |tid| ThreadRow {
            pc: secret(),
            sp: secret(),
            fp: secret(),
            lr: secret(),
            tgid: pid,
            tid,
            ..ThreadRow::zeroed()
        };
        Some(batch(Source::Threads, [pid, pid + 1].into_iter().map(thread)))
    }

    fn health(&mut self) -> ProbesHealth {
        self.asked += 1;
        ProbesHealth {
            rss_error_bound_bytes: self.asked,
            ..ProbesHealth::default()
        }
    }
}

#[derive(Default)]
struct FakeStacks {
    asked: u64,
}

impl Unwind for FakeStacks {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        assert_eq!(*stack.memory, SECRET.repeat(4));
        StackId(1 + stack.taken.sample % 5)
    }

    fn waiting(&mut self, thread: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId(10 + thread.tid % 2)
    }
}

impl Names for FakeStacks {
    fn frames(&mut self, stack: StackId) -> (Vec<FrameRow>, Option<String>) {
        self.asked += 1;
        let found = self.asked > 20;
        let frame = |address| FrameRow {
            function: found.then(|| format!("function_{address}")),
            file: None,
            line: None,
            module: "/bin/leaky".to_owned(),
            build_id: None,
            address,
            inlined: false,
            // Another answer each time.
            reason: (!found).then(|| format!("question {}", self.asked)),
        };
        (vec![frame(u64::from(stack.0)), frame(99)], None)
    }
}

impl Stacks for FakeStacks {
    fn health(&mut self) -> CallSitesHealth {
        CallSitesHealth {
            complete: self.asked,
            ..CallSitesHealth::default()
        }
    }
}

#[derive(Default)]
struct FakeFacts {
    asked: u64,
}

impl Facts for FakeFacts {
    fn process(&mut self, pid: u32) -> ProcessFacts {
        self.asked += 1;
        ProcessFacts {
            exe: Some("/bin/leaky".into()),
            cmdline: Some(format!("leaky {pid} question {}", self.asked).into()),
            ..ProcessFacts::default()
        }
    }

    fn user(&mut self, uid: u32) -> Arc<str> {
        ["root", "daemon", "\u{1f980}"][uid as usize].into()
    }

    fn item(&mut self, pid: u32, kind: &str, item: u64) -> Option<String> {
        self.asked += 1;
        let mut text = format!("{kind} {item} of {pid}");
        if self.asked.is_multiple_of(11) {
            let _ = write!(text, ", question {}", self.asked);
        }
        (!item.is_multiple_of(4)).then_some(text)
    }

    fn not_resident(&mut self, _: u32, pages: &[u64]) -> Vec<u64> {
        pages.iter().step_by(2).copied().collect()
    }
}

#[derive(Default)]
struct FakeUse {
    asked: u32,
}

impl OwnUse for FakeUse {
    fn own_use(&mut self) -> AgentHealth {
        self.asked += 1;
        AgentHealth {
            // No short decimal: it has to come back to the last bit.
            cpu_seconds: f64::from(self.asked) / 3.0,
            tick_seconds: 1e-3 / f64::from(self.asked),
            ..AgentHealth::default()
        }
    }
}

#[derive(Default)]
struct FakeLimits;

impl Limits for FakeLimits {
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse> {
        vec![limit("RLIMIT_NOFILE", process.fds)]
    }

    fn of_host(&mut self) -> Vec<LimitUse> {
        vec![limit("fs.file-max", 400)]
    }
}

fn limit(name: &str, in_use: u64) -> LimitUse {
    LimitUse {
        resource: Resource::Fd,
        limit: Limit {
            name: name.into(),
            value: 1024,
            in_use,
        },
    }
}

#[derive(Default)]
struct FakeLooks;

impl Confirm for FakeLooks {
    fn confirm(&mut self, _: u64, wish: &Wish) -> Option<Confirmation> {
        let looked_at = u32::try_from(wish.items.len()).unwrap_or(u32::MAX);
        Some(Confirmation {
            process: wish.process,
            resource: wish.resource,
            kind: wish.kind,
            looked_at,
            stale: looked_at,
            touched: 0,
            close_wait: 0,
            same_file: 0,
            waiting_alike: 0,
        })
    }
}

/// Every process has a runtime that holds one thing more at every census.
#[derive(Default)]
struct FakeBooks(u64);

impl Censuses for FakeBooks {
    fn census(&mut self, now_ns: u64, wish: &CensusWish) -> Option<Census> {
        self.0 += 1;
        let row = CensusRow {
            counted: Counted::Class,
            name: "Session".to_owned(),
            count: self.0,
            bytes: Some(16 * self.0),
            oldest_seconds: None,
            frames: Vec::new(),
        };
        let view = RuntimeView {
            runtime: "java".to_owned(),
            rows: vec![row],
            ..RuntimeView::default()
        };
        Some(Census {
            process: wish.process,
            taken_ns: now_ns,
            took_ns: 1,
            read_bytes: 2,
            views: vec![view],
        })
    }
}
