//! Loads the object and attaches each probe of the catalogue.

use std::fs;

use aya::{
    Btf, Ebpf, EbpfLoader, Pod,
    programs::{
        BtfTracePoint, Iter, PerfEvent, ProgramError,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
    util::{nr_cpus, online_cpus},
};
use leakwatch_common::settings::{Offsets, Settings};
use log::debug;

use super::{
    btf::KernelTypes,
    catalog::{Hook, PROBES, Probe},
    error::{BTF_PATH, KernelError},
    offsets,
};
use crate::model::health::{ProbeHealth, ProbeState};

/// The programs, compiled by build.rs, aligned as an ELF reader wants it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/leakwatch-ebpf"));

/// Of whom stacks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StacksOf {
    /// Of every process, more of those that grow.
    Everyone,
    /// Of those that somebody is interested in: whatever else runs on the host leaves their budget alone.
    Wanted,
}

/// How the probes are to behave.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Size of the ring buffer, bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Stacks taken per CPU and second.
    pub stacks_per_second: u32,
    /// Of whom.
    pub stacks_of: StacksOf,
    /// Changes of address spaces sent per CPU and second.
    pub changes_per_second: u32,
    /// One page fault of so many is sampled.
    pub fault_period: u64,
}

impl Default for LoadOptions {
    /// The budget of docs/overhead.md.
    fn default() -> Self {
        Self {
            ring_bytes: 1 << 20,
            // What the agent may unwind in a second is one host's, however many processors it has.
            stacks_per_second: (400 / possible_cpus()).clamp(5, 100),
            stacks_of: StacksOf::Everyone,
            changes_per_second: (20_000 / possible_cpus()).clamp(200, 10_000),
            fault_period: 256,
        }
    }
}

/// An object whose maps exist; no probe is attached yet.
pub(super) struct Prepared {
    pub(super) ebpf: Ebpf,
    btf: Btf,
}

/// Creates the maps; those named in `sizes` with so many entries.
pub(super) fn prepare(options: &LoadOptions, sizes: &[(&'static str, u32)]) -> Result<Prepared, KernelError> {
    let data = fs::read(BTF_PATH).map_err(KernelError::NoBtf)?;
    let offsets = offsets::look_up(&KernelTypes::parse(&data)?)?;
    drop(data);
    let btf = Btf::from_sys_fs()?;
    let suspect_share = match options.stacks_of {
        StacksOf::Everyone => SUSPECT_SHARE,
        StacksOf::Wanted => WANTED_SHARE,
    };
    let settings = Settings {
        stacks_per_second: options.stacks_per_second,
        class_interval_ns: share_of_a_second(options.stacks_per_second, CLASS_SHARE),
        suspect_interval_ns: share_of_a_second(options.stacks_per_second, suspect_share),
        changes_per_second: options.changes_per_second,
        ring_bytes: options.ring_bytes,
        stack_ring_bytes: STACK_RING_BYTES,
        has_task_pt_regs: u32::from(has_task_pt_regs()),
        possible_cpus: possible_cpus(),
        agent_tgid: std::process::id(),
        page_bytes: u32::try_from(rustix::param::page_size()).unwrap_or(4096),
        jiffy_ns: jiffy_ns(),
        stacks_of_suspects: u32::from(options.stacks_of == StacksOf::Wanted),
    };
    let mut ebpf = create_maps(options, sizes, &btf, &offsets, &settings)?;
    if log::log_enabled!(log::Level::Debug) {
        forward_probe_log(&mut ebpf);
    }
    Ok(Prepared { ebpf, btf })
}

impl Prepared {
    /// Loads and attaches every probe, required or not, and says how each fared.
    pub(super) fn attach_each(&mut self, options: &LoadOptions) -> Vec<ProbeHealth> {
        PROBES
            .iter()
            .map(|probe| try_probe(&mut self.ebpf, &self.btf, options, probe))
            .collect()
    }

    /// As [`Self::attach_each`].
    ///
    /// # Errors
    /// When a required probe was refused.
    pub(super) fn attach(&mut self, options: &LoadOptions) -> Result<Vec<ProbeHealth>, KernelError> {
        let probes = self.attach_each(options);
        let refused = PROBES
            .iter()
            .zip(&probes)
            .find(|(probe, health)| probe.required && health.state == ProbeState::Failed);
        match refused {
            None => Ok(probes),
            Some((probe, health)) => Err(KernelError::RequiredProbe {
                program: probe.program,
                hook: health.hook.clone(),
                reason: health.reason.clone().unwrap_or_default(),
            }),
        }
    }
}

/// Loads and attaches every probe, required or not, and says how each fared. Everything is detached again on return.
///
/// # Errors
/// When not even the maps could be made.
pub fn probe_each(options: &LoadOptions) -> Result<Vec<ProbeHealth>, KernelError> {
    prepare(options, &[]).map(|mut prepared| prepared.attach_each(options))
}

/// Size of the ring buffer for stacks, bytes: a second of them at an average depth.
const STACK_RING_BYTES: u32 = 2 << 20;

/// Of the stacks of a CPU, what one class of births may have, and what it may have in a process of which more is wanted; in
/// hundredths.
const CLASS_SHARE: u64 = 25;
const SUSPECT_SHARE: u64 = 75;
/// The same where stacks are taken of nobody else. More than all, because a class that comes in bursts has less than its share;
/// who is busy all the time is told to come less often.
const WANTED_SHARE: u64 = 200;

/// Time between two of so many hundredths of `per_second`, nanoseconds.
fn share_of_a_second(per_second: u32, hundredths: u64) -> u32 {
    let interval = 100_000_000_000 / (u64::from(per_second.max(1)) * hundredths);
    u32::try_from(interval).unwrap_or(u32::MAX)
}

fn possible_cpus() -> u32 {
    nr_cpus().map_or(1, |cpus| u32::try_from(cpus).unwrap_or(u32::MAX))
}

/// `bpf_task_pt_regs` came with 5.15.
fn has_task_pt_regs() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers = release
        .split(|separator: char| !separator.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(5), Some(15))
}

/// The resolution of the coarse clocks is the time between two timer interrupts (`KTIME_LOW_RES`, kernel/time).
fn jiffy_ns() -> u32 {
    let resolution = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
    u32::try_from(resolution.tv_nsec).unwrap_or(0).max(1)
}

fn create_maps(
    options: &LoadOptions,
    sizes: &[(&'static str, u32)],
    btf: &Btf,
    offsets: &Offsets,
    settings: &Settings,
) -> Result<Ebpf, KernelError> {
    // aya-log's own scale: 0 is off, 4 is debug. The verifier removes what is off.
    let log_level: u8 = if log::log_enabled!(log::Level::Debug) {
        4
    } else {
        0
    };
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .override_global("OFFSETS", global(offsets), true)
        .override_global("SETTINGS", global(settings), true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .map_max_entries("FEED", options.ring_bytes)
        .map_max_entries("STACK_FEED", STACK_RING_BYTES)
        .map_max_entries("STACK_BUFFERS", settings.possible_cpus);
    for &(map, entries) in sizes {
        loader.map_max_entries(map, entries);
    }
    loader.load(OBJECT).map_err(KernelError::Load)
}

fn global<T: Pod>(value: &T) -> &T {
    value
}

fn try_probe(ebpf: &mut Ebpf, btf: &Btf, options: &LoadOptions, probe: &Probe) -> ProbeHealth {
    let (state, reason) = match attach(ebpf, btf, options, probe) {
        Ok(()) => (ProbeState::Attached, None),
        Err(error) => {
            let reason = explain(&error);
            match probe.fallback {
                Some(fallback) => (ProbeState::Fallback, Some(format!("{reason}; using {fallback}"))),
                None => (ProbeState::Failed, Some(reason)),
            }
        }
    };
    debug!(
        "probe {} on {}: {state:?} {reason:?}",
        probe.program,
        probe.hook.label()
    );
    ProbeHealth {
        name: probe.program.to_owned(),
        hook: probe.hook.label(),
        state,
        reason,
        runs: 0,
        run_time_ns: 0,
    }
}

fn attach(ebpf: &mut Ebpf, btf: &Btf, options: &LoadOptions, probe: &Probe) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(probe.program).ok_or(ProgramError::NotLoaded)?;
    match probe.hook {
        Hook::Tracepoint(name) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(name, btf)?;
            program.attach()?;
        }
        Hook::Iterator(name) => {
            let program: &mut Iter = program.try_into()?;
            program.load(name, btf)?;
            let link = program.attach()?;
            program.detach(link)?;
        }
        Hook::PageFaults => {
            let program: &mut PerfEvent = program.try_into()?;
            program.load()?;
            let cpus = online_cpus().map_err(|(_, error)| error)?;
            for cpu in cpus {
                program.attach(
                    PerfEventConfig::Software(SoftwareEvent::PageFaults),
                    PerfEventScope::AllProcessesOneCpu { cpu },
                    SamplePolicy::Period(options.fault_period),
                    false,
                )?;
            }
        }
    }
    Ok(())
}

/// The kernel's answer in one line: of a verifier log only its end, which says why.
fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            debug!("verifier: {verifier_log}");
            let log = verifier_log.to_string();
            let closing = ["processed ", "verification time", "stack depth"];
            let why = log
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty() && !closing.iter().any(|words| line.starts_with(words)));
            match why {
                Some(why) => format!("bpf(BPF_PROG_LOAD): {io_error}: {why}"),
                None => format!("bpf(BPF_PROG_LOAD): {io_error}"),
            }
        }
        ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
        other => other.to_string(),
    }
}

/// The probes' own messages go to the agent's log, from a thread that ends with the process.
fn forward_probe_log(ebpf: &mut Ebpf) {
    match aya_log::EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            std::thread::spawn(move || {
                loop {
                    logger.flush();
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
            });
        }
        Err(error) => debug!("no messages from the probes: {error}"),
    }
}
