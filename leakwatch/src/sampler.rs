//! The live half: reads the kernel side at every tick, and answers what the pipeline asks.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use log::{debug, warn};
use tokio::{
    io::{Interest as Readiness, unix::AsyncFd},
    sync::watch,
    time::MissedTickBehavior,
};

use crate::{
    attribute::source::Procfs,
    call_sites::CallSites,
    confirm::{Confirmer, Staleness},
    kernel::{Kernel, KernelError, LoadOptions, StacksOf},
    limits::HostLimits,
    model::{
        health::{AgentHealth, CallSitesHealth},
        interest::Interest,
        snapshot::Snapshot,
    },
    own_use,
    raw::{RawBatch, Reading},
    record::{Header, HostFacts, RecordError, Recorder},
    run::{OwnUse, Pipeline, Probes, ProbesHealth, Setup, Stacks, World},
    runtimes::CensusTaker,
    state_file::StateFile,
};

/// The newest snapshot, for whoever wants to see it; `None` before the first tick.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Users come and go: the user database is read again after so many ticks.
const TICKS_PER_USER_READ: u64 = 60;
/// What is kept of programs that have ended is dropped after so many ticks.
const TICKS_PER_SWEEP: u64 = 30;

/// Verdicts are saved after so many ticks, and at the end.
const TICKS_PER_SAVE: u64 = 60;

/// The pipeline, and everything outside that it runs on.
pub struct Sampler {
    kernel: Kernel,
    call_sites: CallSites,
    facts: Procfs,
    limits: HostLimits,
    confirmer: Confirmer,
    censuses: CensusTaker,
    pipeline: Pipeline,
    setup: Setup,
    recorder: Option<Recorder<File>>,
    /// How long a tick waits for names.
    patience: Duration,
    /// Where verdicts outlive this process, if anywhere.
    state_file: Option<StateFile>,
    ticks: u64,
    stacks_of: StacksOf,
}

/// Why there are no more ticks.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The kernel side cannot be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The recording cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Sampler {
    /// Loads and attaches the probes.
    ///
    /// # Errors
    /// When nothing could be observed.
    pub fn attach(options: &LoadOptions, host_name: String) -> Result<Self, KernelError> {
        own_use::bound_freed_memory();
        let setup = Setup {
            host_name,
            fault_period_bytes: options.fault_period * rustix::param::page_size() as u64,
        };
        Ok(Self {
            kernel: Kernel::attach(options)?,
            call_sites: CallSites::start().map_err(|source| KernelError::Io {
                what: "clone of a thread for symbols",
                source,
            })?,
            facts: Procfs::default(),
            limits: HostLimits::default(),
            confirmer: Confirmer::new(Staleness::default()),
            censuses: CensusTaker::default(),
            pipeline: Pipeline::new(setup.clone()),
            setup,
            recorder: None,
            patience: Duration::ZERO,
            state_file: None,
            ticks: 0,
            stacks_of: options.stacks_of,
        })
    }

    /// A tick waits so long for names that it asked for; otherwise they come with a later one.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Records every tick, from the first one on. The end is marked when the sampler is dropped.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record_to(&mut self, file: File, interval: Duration) -> Result<(), RecordError> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let host = HostFacts {
            kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
            boot_id: boot_id.trim_end().to_owned(),
        };
        let started_unix_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let header = Header::new(self.setup.clone(), host, interval, started_unix_ms);
        self.recorder = Some(Recorder::begin(file, &header)?);
        Ok(())
    }

    /// Whether memory may be looked at closely.
    #[must_use]
    pub fn with_staleness(mut self, staleness: Staleness) -> Self {
        self.confirmer = Confirmer::new(staleness);
        self
    }

    /// Verdicts go on from those in this file, and are kept there.
    ///
    /// # Errors
    /// As of [`StateFile::open`].
    pub fn with_state_file(mut self, path: &Path) -> io::Result<Self> {
        let (file, verdicts) = StateFile::open(path)?;
        self.pipeline.remember(verdicts);
        self.state_file = Some(file);
        Ok(self)
    }

    fn save(&mut self) {
        if let Some(file) = &mut self.state_file
            && let Err(error) = file.save(self.pipeline.remembered())
        {
            warn!("verdicts are not kept over a restart: {error}");
        }
    }

    /// Reads and judges once.
    ///
    /// # Errors
    /// When the levels could not be read, or the recording could not be written.
    pub fn tick(&mut self, interest: &Interest) -> Result<Snapshot, SampleError> {
        let started = Instant::now();
        let wanted = interest.fd_kinds_of.iter().copied();
        match self.stacks_of {
            StacksOf::Everyone => self.kernel.suspect(self.pipeline.suspects().chain(wanted)),
            StacksOf::Wanted => self.kernel.suspect(wanted),
        }
        self.facts.begin_tick();
        if self.ticks.is_multiple_of(TICKS_PER_USER_READ) {
            self.facts.forget_users();
        }
        let reading = self.kernel.read(interest)?;
        let rows = self.pipeline.host().processes().map(|process| &process.row);
        let users = rows.map(|row| (row.euid, u64::from(row.threads)));
        self.limits.begin_tick(reading.moment.monotonic_ns, users);
        let snapshot = self.judge(&reading, interest, started)?;
        self.kernel.free_sites(&self.pipeline.ended_sites());
        self.follow_interpreters(reading.moment.monotonic_ns);
        if self.ticks.is_multiple_of(TICKS_PER_SWEEP) {
            self.call_sites.sweep(self.pipeline.host());
            own_use::give_back_freed_memory();
        }
        if self.ticks % TICKS_PER_SAVE == TICKS_PER_SAVE - 1 {
            self.save();
        }
        self.ticks += 1;
        debug!(
            "tick {}: {} processes in {:?}",
            self.ticks,
            snapshot.processes.len(),
            started.elapsed()
        );
        Ok(snapshot)
    }

    /// Has the frames of interpreters taken where there are some.
    fn follow_interpreters(&mut self, now_ns: u64) {
        let interpreters = self.call_sites.interpreters();
        for (process, exec_id, runtime) in self.pipeline.runtimes() {
            interpreters.recognised(now_ns, process, exec_id, runtime);
        }
        let (added, removed) = interpreters.changes();
        for image in removed {
            self.kernel.forget_frames(image);
        }
        for (image, interpreter) in &added {
            self.kernel.take_frames(*image, interpreter);
        }
    }

    fn judge(
        &mut self,
        reading: &Reading,
        interest: &Interest,
        started: Instant,
    ) -> Result<Snapshot, RecordError> {
        let mut snapshot = self.ask(started, |pipeline, world| pipeline.tick(reading, interest, world));
        if !self.patience.is_zero() && self.call_sites.settle(self.patience) {
            snapshot = self.ask(started, |pipeline, world| {
                pipeline.reassemble(reading, interest, world, snapshot)
            });
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(reading, interest)?;
        }
        Ok(snapshot)
    }

    /// Runs a tick in the world of this host.
    fn ask<T>(&mut self, started: Instant, tick: impl FnOnce(&mut Pipeline, &mut World<'_>) -> T) -> T {
        let pipeline = &mut self.pipeline;
        let mut world = World {
            probes: &mut self.kernel,
            stacks: &mut self.call_sites,
            facts: &mut self.facts,
            limits: &mut self.limits,
            confirm: &mut self.confirmer,
            censuses: &mut self.censuses,
            own_use: &mut OwnUseSince(started),
        };
        match &mut self.recorder {
            None => tick(pipeline, &mut world),
            Some(recorder) => recorder.listen(world, |world| tick(pipeline, world)),
        }
    }

    /// Ticks at every `interval` and publishes each snapshot, until everybody has stopped watching or the future is dropped.
    ///
    /// # Errors
    /// When the levels could not be read, the feed cannot be waited for, or the recording could not be written.
    pub async fn run(
        mut self,
        interval: Duration,
        interest: impl Fn() -> Interest,
        snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Result<(), SampleError> {
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

impl Drop for Sampler {
    fn drop(&mut self) {
        self.save();
    }
}

impl Probes for Kernel {
    fn threads(&mut self, pid: u32) -> Option<RawBatch> {
        Kernel::threads(self, pid)
    }

    fn health(&mut self) -> ProbesHealth {
        let observed = self.observe_self();
        ProbesHealth {
            probes: self.probes().to_vec(),
            maps: observed.maps,
            rss_error_bound_bytes: observed.rss_error_bound_bytes,
        }
    }
}

impl Stacks for CallSites {
    fn health(&mut self) -> CallSitesHealth {
        CallSites::health(self)
    }
}

/// This process, during a tick that began then.
struct OwnUseSince(Instant);

impl OwnUse for OwnUseSince {
    fn own_use(&mut self) -> AgentHealth {
        AgentHealth {
            cpu_seconds: own_use::cpu_seconds(),
            rss_bytes: own_use::rss_bytes(),
            tick_seconds: self.0.elapsed().as_secs_f64(),
            ..AgentHealth::default()
        }
    }
}

fn feed_error(source: io::Error) -> KernelError {
    KernelError::Io {
        what: "epoll on the ring buffer",
        source,
    }
}
