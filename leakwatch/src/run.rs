//! The wiring: the one file that knows all stages.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use leakwatch_common::counter::Counter;
use log::{debug, warn};
use tokio::{
    io::{Interest as Readiness, unix::AsyncFd},
    sync::watch,
    time::MissedTickBehavior,
};

use crate::{
    aggregate::Host,
    assemble::{self, Parts},
    attribute::{Attribution, Facts as _, source::Procfs},
    call_sites::CallSites,
    decode::decode,
    detect::{Detection, Levels, Observed, SubjectKey},
    kernel::{Kernel, KernelError, LoadOptions},
    model::{
        health::{AgentHealth, FeedHealth, Health, LevelsHealth},
        interest::Interest,
        snapshot::{ProcessRow, Snapshot, State},
    },
    own_use,
    raw::{Moment, RawBatch},
};

/// The newest snapshot, for whoever wants to see it; `None` before the first tick.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Users come and go: the user database is read again after so many ticks.
const TICKS_PER_USER_READ: u64 = 60;
/// Threads of a process that somebody looks at are read again after so many ticks.
const TICKS_PER_THREAD_READ: u64 = 5;
/// What is kept of programs that have ended is dropped after so many ticks.
const TICKS_PER_SWEEP: u64 = 30;

/// Kernel side and state of all stages.
pub struct Sampler {
    kernel: Kernel,
    host: Host,
    detection: Detection,
    attribution: Attribution,
    facts: Procfs,
    call_sites: CallSites,
    fault_period_bytes: u64,
    /// Processes that held more and more at the last tick: of these more stacks are wanted.
    suspects: Vec<u32>,
    /// How long a tick waits for names.
    patience: Duration,
    host_name: String,
    ticks: u64,
    undecodable: u64,
    /// Records lost so far.
    dropped: u64,
}

impl Sampler {
    /// Loads and attaches the probes.
    ///
    /// # Errors
    /// When nothing could be observed.
    pub fn attach(options: &LoadOptions, host_name: String) -> Result<Self, KernelError> {
        Ok(Self {
            kernel: Kernel::attach(options)?,
            host: Host::default(),
            detection: Detection::default(),
            attribution: Attribution::default(),
            facts: Procfs::default(),
            call_sites: CallSites::start().map_err(|source| KernelError::Io {
                what: "clone of a thread for symbols",
                source,
            })?,
            fault_period_bytes: options.fault_period * rustix::param::page_size() as u64,
            suspects: Vec::new(),
            patience: Duration::ZERO,
            host_name,
            ticks: 0,
            undecodable: 0,
            dropped: 0,
        })
    }

    /// A tick waits so long for names that it asked for; otherwise they come with a later one.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads, decodes, aggregates, judges and attributes once.
    ///
    /// # Errors
    /// When the levels could not be read.
    pub fn tick(&mut self, interest: &Interest) -> Result<Snapshot, KernelError> {
        let started = Instant::now();
        let reading = self.kernel.read(interest)?;
        let moment = reading.moment;
        for batch in &reading.batches {
            self.apply(moment, batch);
        }
        self.look_closely(moment, interest);
        self.detect(moment);
        if self.ticks.is_multiple_of(TICKS_PER_USER_READ) {
            self.facts.forget_users();
        }
        self.attribution
            .update(moment, self.host.processes(), &mut self.facts);
        let ended = self.host.ended_sites();
        self.kernel.free_sites(&ended);
        if self.ticks.is_multiple_of(TICKS_PER_SWEEP) {
            self.call_sites.sweep(&self.host);
        }
        let health = self.health(started);
        let parts = Parts {
            moment,
            host_name: &self.host_name,
            host: &self.host,
            detection: &self.detection,
            attribution: &self.attribution,
            interest,
            fault_period_bytes: self.fault_period_bytes,
        };
        let mut snapshot = assemble::snapshot(&parts, &mut self.facts, &mut self.call_sites, health);
        if !self.patience.is_zero() && self.call_sites.settle(self.patience) {
            // What the readings say of the health is filled in alike the second time.
            snapshot = assemble::snapshot(&parts, &mut self.facts, &mut self.call_sites, snapshot.health);
        }
        let suspects = snapshot.processes.iter().filter(|process| is_suspect(process));
        self.suspects = suspects.map(|process| process.id.pid).collect();
        self.ticks += 1;
        debug!(
            "tick {}: {} processes in {:?}",
            self.ticks,
            snapshot.processes.len(),
            started.elapsed()
        );
        Ok(snapshot)
    }

    fn apply(&mut self, moment: Moment, batch: &RawBatch) {
        let (reading, error) = decode(batch);
        if let Some(error) = error {
            warn!("{:?} from the kernel: {error}", batch.source);
            self.undecodable += 1;
        }
        self.host.apply(moment, reading, &mut self.call_sites);
    }

    /// Judges every process.
    fn detect(&mut self, moment: Moment) {
        let counts = self.host.sites_by_process();
        let dropped = self.host.kernel_totals().counter(Counter::FeedDropped);
        let blind = dropped > std::mem::replace(&mut self.dropped, dropped);
        let observed = self.host.processes().map(|process| {
            let counts = counts.get(&process.id).map_or(&[][..], Vec::as_slice);
            let amounts = process.amounts();
            Observed {
                subject: SubjectKey::Process(process.id),
                program: self.attribution.of(&process.id).exe,
                age_ns: moment.boottime_ns.saturating_sub(process.id.start_time_ns),
                levels: Levels {
                    memory: amounts.memory,
                    fds: amounts.fds,
                    threads: amounts.threads,
                    maps: u64::from(process.row.map_count),
                },
                load: counts.iter().map(|site| site.counts.born).sum(),
                limits: &[],
                sites: Some(process),
                counts,
                blind,
            }
        });
        self.detection.update(moment, observed);
    }

    /// What costs something and is read only of processes that somebody looks at or that grow.
    fn look_closely(&mut self, moment: Moment, interest: &Interest) {
        self.facts.begin_tick();
        self.kernel
            .suspect(self.suspects.iter().chain(&interest.fd_kinds_of).copied());
        for &pid in &interest.fd_kinds_of {
            let Some(process) = self.host.process(pid) else {
                continue;
            };
            let due = process.waiting.is_none() || self.ticks.is_multiple_of(TICKS_PER_THREAD_READ);
            let pages: Vec<u64> = process.first_touch.pages().collect();
            let gone = self.facts.not_resident(pid, &pages);
            self.host.not_resident(pid, &gone, moment.monotonic_ns);
            if due && let Some(batch) = self.kernel.threads(pid) {
                self.apply(moment, &batch);
            }
        }
    }

    fn health(&mut self, tick_started: Instant) -> Health {
        let observed = self.kernel.observe_self();
        Health {
            probes: self.kernel.probes().to_vec(),
            feed: FeedHealth {
                undecodable: self.undecodable,
                ..FeedHealth::default()
            },
            agent: AgentHealth {
                cpu_seconds: own_use::cpu_seconds(),
                rss_bytes: own_use::rss_bytes(),
                kernel_map_bytes: observed.maps.iter().map(|map| map.bytes).sum(),
                tick_seconds: tick_started.elapsed().as_secs_f64(),
                ticks: self.ticks + 1,
            },
            call_sites: self.call_sites.health(),
            maps: observed.maps,
            levels: LevelsHealth {
                rss_error_bound_bytes: observed.rss_error_bound_bytes,
                ..LevelsHealth::default()
            },
            ..Health::default()
        }
    }

    /// Ticks at every `interval` and publishes each snapshot, until everybody has stopped watching or the future is dropped.
    ///
    /// # Errors
    /// When the levels could not be read, or the feed cannot be waited for.
    pub async fn run(
        mut self,
        interval: Duration,
        interest: impl Fn() -> Interest,
        snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Result<(), KernelError> {
        let [records, stacks] = self.kernel.feed_fds()?.map(|fd| {
            // SAFETY: `AsyncFd` owns this descriptor, which nothing else knows, and always answers with the same number.
            unsafe { AsyncFd::register_with_interest(fd, Readiness::READABLE) }
                .map_err(|error| feed_error(error.into()))
        });
        let (records, stacks) = (records?, stacks?);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !snapshots.is_closed() {
            tokio::select! {
                _ = ticks.tick() => {
                    let snapshot = self.tick(&interest())?;
                    snapshots.send_replace(Some(Arc::new(snapshot)));
                }
                ready = records.readable() => self.feed_is_filling(ready)?,
                ready = stacks.readable() => self.feed_is_filling(ready)?,
            }
        }
        Ok(())
    }

    /// The kernel side asks to be read before the next tick.
    fn feed_is_filling(
        &mut self,
        ready: io::Result<tokio::io::unix::AsyncFdReadyGuard<'_, OwnedFd>>,
    ) -> Result<(), KernelError> {
        let mut ready = ready.map_err(feed_error)?;
        self.kernel.drain_feeds();
        ready.clear_ready();
        Ok(())
    }
}

/// What rises faster than this, a second, makes a suspect: stacks are what it costs, so the bar is low.
const RISING_COUNT: f64 = 0.05;
const RISING_BYTES: f64 = 16_384.0;

fn is_suspect(process: &ProcessRow) -> bool {
    let growth = &process.growth;
    let rises = |slope: Option<f64>, bar: f64| slope.is_some_and(|slope| slope > bar);
    process.state == State::Growing
        || rises(growth.fds_per_second, RISING_COUNT)
        || rises(growth.threads_per_second, RISING_COUNT)
        || rises(growth.memory_bytes_per_second, RISING_BYTES)
}

fn feed_error(source: io::Error) -> KernelError {
    KernelError::Io {
        what: "epoll on the ring buffer",
        source,
    }
}
