//! Which allocations of one process stay: its allocator's functions are probed for a while.
//!
//! Probes on functions that are called a hundred thousand times a second cost something, and it is the process that pays. So
//! the calls are counted first, what one costs is measured on this host ([`calibrate`]), and what comes of it ([`cost`]) is
//! said before a trace begins. The probes are the kernel's breakpoints and gone with the trace.

mod allocator;
mod calibrate;
pub mod cost;
mod elf;
pub mod entry;
pub mod merge;
pub mod survivors;
mod usage;

use std::{
    io,
    num::NonZeroU32,
    thread,
    time::{Duration, Instant},
};

use leakwatch_common::allocation::{Control, Total};
use log::{debug, warn};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use self::{
    allocator::{Allocator, Probed},
    cost::{Called, Prediction},
    entry::Role,
    survivors::{Births, Observation, Survivors},
    usage::SystemTime,
};
use crate::{
    aggregate::Unwind as _,
    assemble::Names as _,
    attribute::blame,
    call_sites::CallSites,
    decode::{Reading, decode},
    kernel::{AllocationLimits, AllocationProbes, AllocationProgram, KernelError},
    model::{
        sanitize,
        stack::StackId,
        trace::{AllocationSite, TraceCost, TraceReport},
    },
};

/// How long calls are counted before a trace.
const COUNT_FOR: Duration = Duration::from_millis(200);
/// How long the process is looked at before anything is done to it.
const LOOK_FOR: Duration = Duration::from_millis(400);
/// Addresses that are followed live at most in memory that the kernel sets aside, 80 bytes each.
const MOST_LIVE: u32 = 1 << 18;
/// Stacks per CPU and second at the most, when a process allocates many times more than when its calls were counted.
const MOST_STACKS_PER_SECOND: u32 = 2_000;
/// How long names are waited for at the end.
const NAMES: Duration = Duration::from_secs(20);
/// Places in a report.
const MOST_SUSPECTS: usize = 50;
const MOST_OTHERS: usize = 20;

/// Why a process was not traced.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The kernel side failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The process is not there, or not ours to look at.
    #[error("process {pid}: {source}")]
    Process {
        /// Its number.
        pid: u32,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file that it has mapped cannot be read.
    #[error("cannot read {path}, which the process has mapped: {source}")]
    File {
        /// As the process sees it.
        path: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A Go program: its stacks move, and a return probe changes them.
    #[error("process {pid} is a Go program, which return probes would crash")]
    Go {
        /// Its number.
        pid: u32,
    },
    /// Nothing that allocates was found by name.
    #[error("no allocator found in process {pid} ({executable}): no malloc and free by any known name")]
    NoAllocator {
        /// Its number.
        pid: u32,
        /// Its executable.
        executable: String,
        /// Whether the executable has no symbols to find one by.
        stripped: bool,
    },
    /// Costs could not be measured.
    #[error("cannot measure what a probe costs: {0}")]
    Calibration(&'static str),
    /// The thread that names could not be started.
    #[error("clone of a thread for symbols: {0}")]
    Symbols(#[source] io::Error),
}

impl TraceError {
    fn process(pid: u32, source: io::Error) -> Self {
        Self::Process { pid, source }
    }
}

/// What of a process to trace and for how long.
#[derive(Clone, Copy, Debug)]
pub struct TraceOptions {
    /// Thread group id.
    pub pid: NonZeroU32,
    /// How long.
    pub duration: Duration,
}

/// A trace that is prepared: it is known what it will cost.
pub struct Prepared {
    options: TraceOptions,
    name: String,
    started: u64,
    probes: AllocationProbes,
    allocator: Allocator,
    prediction: Prediction,
    system_before: Option<f64>,
}

/// How a trace goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Still running.
    Running {
        /// Stacks so far.
        samples: u64,
    },
    /// The process has ended.
    Ended,
    /// The process executes another program.
    OtherProgram,
}

/// A trace that runs. Dropping it takes the probes out.
pub struct Trace {
    prepared: Prepared,
    call_sites: CallSites,
    births: Births,
    /// Of the program image that is traced.
    exec_id: Option<u32>,
    other_program: bool,
    before: [u64; Total::COUNT],
    system: Option<SystemTime>,
    began: Instant,
    began_ns: u64,
}

impl Prepared {
    /// Finds the allocator, measures what a hit costs here, and counts for [`COUNT_FOR`] how often each function is called.
    ///
    /// # Errors
    /// When the process cannot be traced.
    pub fn new(options: TraceOptions) -> Result<Self, TraceError> {
        let pid = options.pid.get();
        let started =
            usage::started(pid).ok_or_else(|| TraceError::process(pid, io::ErrorKind::NotFound.into()))?;
        let allocators = allocator::find(pid)?;
        let before = (SystemTime::of(pid), Instant::now());
        let seconds = u32::try_from(options.duration.as_secs()).unwrap_or(u32::MAX);
        let mut probes = AllocationProbes::load(AllocationLimits {
            live: seconds.saturating_mul(1_000).clamp(1 << 14, MOST_LIVE),
            stacks_per_second: MOST_STACKS_PER_SECOND,
        })?;
        let costs = calibrate::measure(&mut probes)?;
        debug!("{costs:?}");
        thread::sleep(LOOK_FOR.saturating_sub(before.1.elapsed()));
        let system_before = before
            .0
            .and_then(|before| SystemTime::of(pid)?.percent_since(before));
        let (allocator, calls) = busiest(&mut probes, allocators, options.pid)?;
        let prediction = cost::predict(&calls, &costs, options.duration.as_secs_f64());
        Ok(Self {
            options,
            name: name(pid).unwrap_or_default(),
            started,
            probes,
            allocator,
            prediction,
            system_before,
        })
    }

    /// The file whose functions will be probed, as the process sees it.
    pub fn allocator(&self) -> &str {
        &self.allocator.name
    }

    /// What the trace will cost.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Functions that are probed, and those of them at an instruction that the kernel cannot emulate.
    pub fn functions(&self) -> (usize, usize) {
        let dear = |probed: &&Probed| {
            !probed.placement.entry.emulated || probed.placement.ret.is_some_and(|site| !site.emulated)
        };
        let probed = &self.allocator.probed;
        (probed.len(), probed.iter().filter(dear).count())
    }

    /// Begins.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(mut self) -> Result<Trace, TraceError> {
        let call_sites = CallSites::start().map_err(TraceError::Symbols)?;
        self.probes.follow(Control {
            mask: self.prediction.one_in - 1,
        })?;
        let (file, pid) = (&self.allocator.file, self.options.pid);
        // What frees first: an allocation that is followed must not be freed unseen.
        let mut functions: Vec<&Probed> = self.allocator.probed.iter().collect();
        functions.sort_by_key(|function| function.placement.ret.is_some());
        for Probed { offset, placement } in functions {
            // The return first, for the same reason.
            if let Some(ret) = placement.ret {
                self.probes
                    .attach(AllocationProgram::Allocated, file, offset + ret.offset, pid)?;
            }
            let program = program(placement.read_as);
            self.probes
                .attach(program, file, offset + placement.entry.offset, pid)?;
        }
        Ok(Trace {
            call_sites,
            births: Births::default(),
            exec_id: None,
            other_program: false,
            before: self.probes.totals()?,
            system: SystemTime::of(pid.get()),
            began: Instant::now(),
            began_ns: now_ns(),
            prepared: self,
        })
    }
}

impl Trace {
    /// Takes over what waits; to be called a few times a second.
    pub fn poll(&mut self) -> Progress {
        let pid = self.prepared.options.pid.get();
        if let Some(batch) = self.prepared.probes.stacks() {
            let (reading, error) = decode(&batch);
            if let Some(error) = error {
                warn!("stacks from the kernel: {error}");
            }
            if let Reading::Stacks(stacks) = reading {
                for stack in stacks.iter().filter(|stack| stack.taken.tgid == pid) {
                    if *self.exec_id.get_or_insert(stack.taken.exec_id) != stack.taken.exec_id {
                        self.other_program = true;
                        continue;
                    }
                    let id = self.call_sites.copied(stack);
                    // Asks for names while the process is there.
                    if id != StackId::NONE && !self.births.knows(id) {
                        self.call_sites.frames(id);
                    }
                    self.births.add(stack.taken.sample, id, stack.taken.item);
                }
            }
        }
        if self.other_program {
            Progress::OtherProgram
        } else if usage::started(pid) == Some(self.prepared.started) {
            Progress::Running {
                samples: self.births.samples(),
            }
        } else {
            Progress::Ended
        }
    }

    /// Takes the probes out and says what was seen. `ended_early` says why it was not as long as asked for.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn finish(mut self, ended_early: Option<String>) -> Result<TraceReport, TraceError> {
        let pid = self.prepared.options.pid.get();
        let observation = Observation {
            began_ns: self.began_ns,
            ended_ns: now_ns(),
        };
        let elapsed = self.began.elapsed();
        let system = SystemTime::of(pid);
        let mut totals = self.prepared.probes.totals()?;
        self.prepared.probes.detach();
        self.poll();
        let live = self.prepared.probes.live()?;
        for (total, before) in totals.iter_mut().zip(self.before) {
            *total = total.saturating_sub(before);
        }
        let (sampled, shed) = (totals[Total::Sampled as usize], totals[Total::Shed as usize]);
        let kept = sampled.saturating_sub(shed).max(1);
        let weight = f64::from(self.prepared.prediction.one_in) * sampled.max(1) as f64 / kept as f64;
        let places = self.births.survivors(&live, weight, observation);
        let all_old: f64 = places.iter().map(|place| place.old_bytes).sum();
        let (old, others): (Vec<&Survivors>, Vec<&Survivors>) =
            places.iter().partition(|place| place.old_samples > 0);
        let shown: Vec<&Survivors> = old
            .into_iter()
            .take(MOST_SUSPECTS)
            .chain(others.into_iter().take(MOST_OTHERS))
            .collect();
        for place in &shown {
            self.call_sites.frames(place.stack);
        }
        if !self.call_sites.settle(NAMES) {
            warn!("not every name was found in time");
        }
        let sites = shown
            .into_iter()
            .map(|place| site(&mut self.call_sites, place, all_old))
            .collect();
        let (suspects, others) = merge::same_functions(sites)
            .into_iter()
            .partition(|site| site.old_samples > 0);
        let cost = self.cost(&totals, elapsed, system);
        Ok(TraceReport {
            pid,
            name: self.prepared.name,
            allocator: self.prepared.allocator.name.clone(),
            observed_ns: observation.ended_ns.saturating_sub(observation.began_ns),
            ended_early,
            one_in: self.prepared.prediction.one_in.into(),
            samples: self.births.samples(),
            shed,
            cost,
            suspects,
            others,
        })
    }

    fn cost(&self, totals: &[u64; Total::COUNT], elapsed: Duration, system: Option<SystemTime>) -> TraceCost {
        let prepared = &self.prepared;
        let predicted = prepared.prediction;
        let per_second = |total: Total| totals[total as usize] as f64 / elapsed.as_secs_f64().max(1e-3);
        let (allocations, frees) = (per_second(Total::Allocations), per_second(Total::Frees));
        let during = system
            .zip(self.system)
            .and_then(|(now, before)| now.percent_since(before));
        TraceCost {
            predicted_percent: 100.0 * predicted.share,
            counted_percent: 100.0 * predicted.share_at(allocations, frees),
            system_percent: during
                .zip(prepared.system_before)
                .map(|(during, before)| during - before),
            pair_ns: predicted.pair_ns,
            allocations_per_second: allocations,
            frees_per_second: frees,
        }
    }
}

/// Counts calls of each function of the first of these allocators; if there are none, of the next one.
fn busiest(
    probes: &mut AllocationProbes,
    allocators: Vec<Allocator>,
    pid: NonZeroU32,
) -> Result<(Allocator, Vec<Called>), TraceError> {
    let mut first = None;
    for allocator in allocators {
        let calls = count(probes, &allocator, pid)?;
        debug!("{}: {calls:?}", allocator.name);
        if calls.iter().any(|call| call.per_second > 0.0) {
            return Ok((allocator, calls));
        }
        first.get_or_insert((allocator, calls));
    }
    first.ok_or(TraceError::Calibration("no allocator"))
}

fn count(
    probes: &mut AllocationProbes,
    allocator: &Allocator,
    pid: NonZeroU32,
) -> Result<Vec<Called>, TraceError> {
    for Probed { offset, placement } in &allocator.probed {
        let offset = offset + placement.entry.offset;
        probes.attach(AllocationProgram::Count, &allocator.file, offset, pid)?;
    }
    let before = probes.calls()?;
    let begun = Instant::now();
    thread::sleep(COUNT_FOR);
    let after = probes.calls()?;
    let elapsed = begun.elapsed().as_secs_f64();
    probes.detach();
    let of = |calls: &[(u64, u64)], wanted: u64| -> u64 {
        calls
            .iter()
            .filter(|(address, _)| allocator.offset_of(*address) == Some(wanted))
            .map(|(_, calls)| calls)
            .sum()
    };
    let called = |probed: &Probed| {
        let site = probed.offset + probed.placement.entry.offset;
        Called {
            placement: probed.placement,
            per_second: of(&after, site).saturating_sub(of(&before, site)) as f64 / elapsed,
        }
    };
    Ok(allocator.probed.iter().map(called).collect())
}

fn program(role: Role) -> AllocationProgram {
    match role {
        Role::Allocate => AllocationProgram::Allocate,
        Role::AllocateAligned => AllocationProgram::AllocateAligned,
        Role::AllocateInto => AllocationProgram::AllocateInto,
        Role::AllocateArray => AllocationProgram::AllocateArray,
        Role::Reallocate => AllocationProgram::Reallocate,
        Role::Deallocate => AllocationProgram::Deallocate,
    }
}

fn site(call_sites: &mut CallSites, place: &Survivors, all_old: f64) -> AllocationSite {
    let (frames, cut) = if place.stack == StackId::NONE {
        (Vec::new(), Some("the stack is not known".to_owned()))
    } else {
        call_sites.frames(place.stack)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "estimates of counts and bytes: not negative, and a cast saturates"
    )]
    let whole = |estimate: f64| estimate.round() as u64;
    AllocationSite {
        function: blame::blamed(&frames).and_then(|index| frames[index].function.clone()),
        frames,
        cut,
        samples: place.samples,
        old_samples: place.old_samples,
        born: whole(place.born),
        born_bytes: whole(place.born_bytes),
        live: whole(place.live),
        live_bytes: whole(place.live_bytes),
        old: whole(place.old),
        old_bytes: whole(place.old_bytes),
        share_percent: if all_old > 0.0 {
            100.0 * place.old_bytes / all_old
        } else {
            0.0
        },
        mean_age_ns: (place.live > 0.0).then_some(place.mean_age_ns),
    }
}

/// The clock of [`leakwatch_common::allocation::LiveAllocation::birth_ns`].
fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn name(pid: u32) -> Option<String> {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(sanitize::text(comm.trim_ascii_end()))
}
