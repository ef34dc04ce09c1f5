//! The pipeline: wires the pure stages. A tick is a function of what was read, of what somebody looks at, of the ticks before
//! and of what a [`World`] answers, so that a recording of these gives the same snapshots again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use log::warn;
use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{Host, Process, Unwind},
    assemble::{self, Names, Parts},
    attribute::{Attribution, Facts},
    decode::decode,
    detect::{Detection, Remembered},
    limits::{LimitSubject, Limits},
    model::{
        census::{Census, CensusWish, Censuses},
        confirm::{Confirm, Confirmation},
        finding::Finding,
        health::{AgentHealth, CallSitesHealth, FeedHealth, Health, LevelsHealth, MapHealth, ProbeHealth},
        identity::ProcessId,
        interest::Interest,
        snapshot::{LimitUse, ProcessRow, Snapshot},
    },
    raw::{Moment, RawBatch, Reading},
    subjects::{LimitsByProcess, Subjects},
};

/// Threads of a process that somebody looks at are read again after so many ticks.
const TICKS_PER_THREAD_READ: u64 = 5;

/// Pages of processes that hold more and more are looked at again after so many ticks, of so many processes at the most.
const TICKS_PER_PAGE_READ: u64 = 5;
const SUSPECTS_LOOKED_AT: usize = 32;
/// Processes whose runtimes are asked what they hold, of those that hold more and more.
const SUSPECTS_COUNTED: usize = 32;

/// Everything outside that a tick asks: one field for each effect.
///
/// A new effect is a trait beside the stage that needs it and a field here. The compiler then names those who have to answer:
/// the live one in `sampler`, and in `record` the one that listens, the one that replays, and imported series.
pub struct World<'a> {
    /// The kernel side, beyond what a reading holds.
    pub probes: &'a mut dyn Probes,
    /// From copied stacks to names.
    pub stacks: &'a mut dyn Stacks,
    /// Who is behind a process.
    pub facts: &'a mut dyn Facts,
    /// How much there may be.
    pub limits: &'a mut dyn Limits,
    /// A closer look at what grows.
    pub confirm: &'a mut dyn Confirm,
    /// What runtimes have on their books.
    pub censuses: &'a mut dyn Censuses,
    /// What leakwatch itself consumes.
    pub own_use: &'a mut dyn OwnUse,
}

/// The kernel side, as a tick asks it.
pub trait Probes {
    /// Where the threads of a process wait; `None` when that could not be read.
    fn threads(&mut self, pid: u32) -> Option<RawBatch>;
    /// Whether the kernel side works.
    fn health(&mut self) -> ProbesHealth;
}

/// What the kernel side knows about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbesHealth {
    /// Every probe of the catalogue, in its order.
    pub probes: Vec<ProbeHealth>,
    /// Fixed-size maps.
    pub maps: Vec<MapHealth>,
    /// See [`LevelsHealth::rss_error_bound_bytes`].
    pub rss_error_bound_bytes: u64,
}

/// Both ends of a call site: its stack and its names.
pub trait Stacks: Unwind + Names {
    /// What it did, and what it keeps.
    fn health(&mut self) -> CallSitesHealth;
}

/// leakwatch's own consumption.
pub trait OwnUse {
    /// Since the start; [`AgentHealth::kernel_map_bytes`] and [`AgentHealth::ticks`] are filled in by the pipeline.
    fn own_use(&mut self) -> AgentHealth;
}

/// What stays the same from the first tick to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Host name.
    pub host_name: String,
    /// Memory that one page fault sample stands for, bytes.
    pub fault_period_bytes: u64,
}

/// State of all stages.
pub struct Pipeline {
    setup: Setup,
    host: Host,
    detection: Detection,
    attribution: Attribution,
    /// Processes that held more and more at the last tick: of these more stacks are wanted.
    suspects: BTreeSet<u32>,
    ticks: u64,
    undecodable: u64,
    limits: LimitsByProcess,
    host_limits: Vec<LimitUse>,
    /// The newest of each process that is looked at or grows.
    censuses: BTreeMap<ProcessId, Arc<Census>>,
    /// Findings of the last tick.
    findings: Vec<Finding>,
}

impl Pipeline {
    /// Nothing seen yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            host: Host::default(),
            detection: Detection::default(),
            attribution: Attribution::default(),
            suspects: BTreeSet::new(),
            ticks: 0,
            undecodable: 0,
            limits: LimitsByProcess::new(),
            host_limits: Vec::new(),
            censuses: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    /// Decodes, aggregates, judges, attributes and assembles once.
    pub fn tick(&mut self, reading: &Reading, interest: &Interest, world: &mut World<'_>) -> Snapshot {
        let moment = reading.moment;
        for batch in &reading.batches {
            self.apply(moment, batch, world);
        }
        self.look_closely(moment, interest, world);
        self.attribution
            .update(moment, self.host.processes(), world.facts);
        self.limits(interest, world);
        self.count(moment, interest, world);
        self.detect(moment, world);
        self.ticks += 1;
        let health = self.health(world);
        let snapshot = self.assemble(moment, interest, world, health);
        let suspects = snapshot.processes.iter().filter(|process| is_suspect(process));
        self.suspects = suspects.map(|process| process.id.pid).collect();
        self.findings.clone_from(&snapshot.findings);
        snapshot
    }

    /// The snapshot of the last tick once more, after names have come that it had to do without.
    pub fn reassemble(
        &self,
        reading: &Reading,
        interest: &Interest,
        world: &mut World<'_>,
        snapshot: Snapshot,
    ) -> Snapshot {
        // What the readings say of the health is filled in alike the second time.
        self.assemble(reading.moment, interest, world, snapshot.health)
    }

    /// Everything known about the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Every process with a language runtime that was recognised: which image, and which runtime.
    pub fn runtimes(&self) -> impl Iterator<Item = (ProcessId, u32, &str)> {
        self.host.processes().filter_map(|process| {
            let runtime = self.attribution.runtime(&process.id)?;
            Some((process.id, process.row.exec_id, runtime))
        })
    }

    /// Processes of which more stacks are wanted.
    pub fn suspects(&self) -> impl Iterator<Item = u32> {
        self.suspects.iter().copied()
    }

    /// Verdicts to go on from; before the first tick.
    pub fn remember(&mut self, verdicts: Vec<Remembered>) {
        self.detection.remember(verdicts);
    }

    /// Verdicts that are worth keeping over a restart.
    pub fn remembered(&self) -> Vec<Remembered> {
        self.detection.remembered()
    }

    /// Indices of sites that the kernel side can free; once a tick.
    pub fn ended_sites(&mut self) -> Vec<u32> {
        self.host.ended_sites()
    }

    fn apply(&mut self, moment: Moment, batch: &RawBatch, world: &mut World<'_>) {
        let (decoded, error) = decode(batch);
        if let Some(error) = error {
            warn!("{:?} from the kernel: {error}", batch.source);
            self.undecodable += 1;
        }
        self.host.apply(moment, decoded, world.stacks);
    }

    /// What costs something and is read only of processes that somebody looks at.
    fn look_closely(&mut self, moment: Moment, interest: &Interest, world: &mut World<'_>) {
        if self.ticks.is_multiple_of(TICKS_PER_PAGE_READ) {
            let suspects: Vec<u32> = self.suspects.difference(&interest.fd_kinds_of).copied().collect();
            for pid in suspects.into_iter().take(SUSPECTS_LOOKED_AT) {
                self.look_at_pages(moment, pid, world);
            }
        }
        for &pid in &interest.fd_kinds_of {
            let Some(process) = self.host.process(pid) else {
                continue;
            };
            let due = process.waiting.is_none() || self.ticks.is_multiple_of(TICKS_PER_THREAD_READ);
            self.look_at_pages(moment, pid, world);
            if due && let Some(batch) = world.probes.threads(pid) {
                self.apply(moment, &batch, world);
            }
        }
    }

    /// Which of the pages that were touched first under observation are still there.
    fn look_at_pages(&mut self, moment: Moment, pid: u32, world: &mut World<'_>) {
        let Some(process) = self.host.process(pid) else {
            return;
        };
        let pages: Vec<u64> = process.first_touch.pages().collect();
        if !pages.is_empty() {
            let gone = world.facts.not_resident(pid, &pages);
            self.host.not_resident(pid, &gone, moment.monotonic_ns);
        }
    }

    /// Reads the limits of who comes closer to one, of who has used half of one, and of whom somebody looks at.
    fn limits(&mut self, interest: &Interest, world: &mut World<'_>) {
        self.host_limits = world.limits.of_host();
        let wanted = |process: &&Process| {
            let (pid, row) = (process.id.pid, &process.row);
            interest.limits_of_all
                || interest.names(pid)
                || self.suspects.contains(&pid)
                || u64::from(row.fds) >= row.nofile_soft / 2
        };
        let read = |process: &Process| {
            let row = &process.row;
            let subject = LimitSubject {
                id: process.id,
                uid: row.euid,
                cgroup_id: row.cgroup_id,
                fds: u64::from(row.fds),
                threads: u64::from(row.threads),
                maps: u64::from(row.map_count),
                total_vm_bytes: row.total_vm_bytes,
            };
            (process.id, world.limits.of_process(&subject))
        };
        self.limits = self.host.processes().filter(wanted).map(read).collect();
    }

    /// Asks the runtimes of who grows, and of who is looked at, what they hold.
    fn count(&mut self, moment: Moment, interest: &Interest, world: &mut World<'_>) {
        let named = interest.fd_kinds_of.iter().map(|&pid| (pid, true));
        let suspects = self.suspects.difference(&interest.fd_kinds_of);
        let suspects = suspects.take(SUSPECTS_COUNTED).map(|&pid| (pid, false));
        let wishes: Vec<CensusWish> = named
            .chain(suspects)
            .filter_map(|(pid, urgent)| {
                let process = self.host.process(pid)?;
                Some(CensusWish {
                    process: process.id,
                    exec_id: process.row.exec_id,
                    urgent,
                })
            })
            .collect();
        let wanted: BTreeSet<ProcessId> = wishes.iter().map(|wish| wish.process).collect();
        self.censuses.retain(|process, _| wanted.contains(process));
        for wish in &wishes {
            if let Some(census) = world.censuses.census(moment.monotonic_ns, wish) {
                self.detection.counted(&census);
                self.censuses.insert(wish.process, Arc::new(census));
            }
        }
    }

    fn detect(&mut self, moment: Moment, world: &mut World<'_>) {
        let subjects = Subjects::new(&self.host, &self.attribution, &self.limits, moment);
        self.detection.update(moment, subjects.observed());
        let now_ns = moment.monotonic_ns;
        let wishes = self.detection.wishes().iter();
        let answers: Vec<Confirmation> = wishes
            .filter_map(|wish| world.confirm.confirm(now_ns, wish))
            .collect();
        for answer in &answers {
            self.detection.confirmed(now_ns, answer);
        }
    }

    fn assemble(
        &self,
        moment: Moment,
        interest: &Interest,
        world: &mut World<'_>,
        health: Health,
    ) -> Snapshot {
        let parts = Parts {
            moment,
            host_name: &self.setup.host_name,
            host: &self.host,
            detection: &self.detection,
            attribution: &self.attribution,
            interest,
            fault_period_bytes: self.setup.fault_period_bytes,
            limits: &self.limits,
            host_limits: &self.host_limits,
            censuses: &self.censuses,
            before: &self.findings,
        };
        assemble::snapshot(&parts, world.facts, world.stacks, health)
    }

    fn health(&self, world: &mut World<'_>) -> Health {
        let probes = world.probes.health();
        Health {
            feed: FeedHealth {
                undecodable: self.undecodable,
                ..FeedHealth::default()
            },
            agent: AgentHealth {
                kernel_map_bytes: probes
                    .maps
                    .iter()
                    .fold(0, |sum, map| sum.saturating_add(map.bytes)),
                ticks: self.ticks,
                ..world.own_use.own_use()
            },
            call_sites: world.stacks.health(),
            probes: probes.probes,
            maps: probes.maps,
            levels: LevelsHealth {
                rss_error_bound_bytes: probes.rss_error_bound_bytes,
                ..LevelsHealth::default()
            },
            ..Health::default()
        }
    }
}

/// What rises faster than this, a second, makes a suspect: stacks are what it costs, so the bar is low.
const RISING_COUNT: f64 = 0.05;
const RISING_BYTES: f64 = 16_384.0;

fn is_suspect(process: &ProcessRow) -> bool {
    let growth = &process.growth;
    let rises = |slope: Option<f64>, bar: f64| slope.is_some_and(|slope| slope > bar);
    process.state.grows()
        || rises(growth.fds_per_second, RISING_COUNT)
        || rises(growth.threads_per_second, RISING_COUNT)
        || rises(growth.memory_bytes_per_second, RISING_BYTES)
}
