//! Before a trace: whose functions to probe, how often they are called, what it will cost.

use std::{
    num::NonZeroU32,
    thread,
    time::{Duration, Instant},
};

use leakwatch_common::allocation::Control;
use log::debug;

use super::{
    TraceError, TraceOptions,
    allocator::{self, Allocator, Probed},
    calibrate,
    cost::{self, Called, Prediction},
    entry::Role,
    running::Trace,
    usage::{self, SystemTime},
};
use crate::{
    kernel::{AllocationLimits, AllocationProbes, AllocationProgram},
    model::sanitize,
};

/// How long calls are counted before a trace.
const COUNT_FOR: Duration = Duration::from_millis(200);
/// How long the process is looked at before anything is done to it.
const LOOK_FOR: Duration = Duration::from_millis(400);
/// Addresses that are followed live at most in memory that the kernel sets aside, 80 bytes each.
const MOST_LIVE: u32 = 1 << 18;
/// Stacks per CPU and second at the most, when a process allocates many times more than when its calls were counted.
const MOST_STACKS_PER_SECOND: u32 = 2_000;

/// A trace that is prepared: it is known what it will cost.
pub struct Prepared {
    pub(super) options: TraceOptions,
    pub(super) name: String,
    pub(super) started: u64,
    pub(super) probes: AllocationProbes,
    pub(super) allocator: Allocator,
    pub(super) prediction: Prediction,
    pub(super) system_before: Option<f64>,
}

impl Prepared {
    /// Finds the allocator, measures what a hit costs here, and counts for a moment how often each function is called.
    ///
    /// # Errors
    /// When the process cannot be traced.
    pub fn new(options: TraceOptions) -> Result<Self, TraceError> {
        let pid = options.pid.get();
        let started = usage::started(pid).map_err(|error| TraceError::process(pid, "open", "stat", error))?;
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
        Trace::begin(self)
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

fn name(pid: u32) -> Option<String> {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(sanitize::text(comm.trim_ascii_end()))
}
