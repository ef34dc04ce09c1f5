//! Samples user stacks of a process and its descendants through perf, unwinds each as the agent does and by frame pointers,
//! and prints as JSON how both did. `cargo xtask bench unwinding` starts it.

mod frame_pointers;
mod perf;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use leakwatch::{
    model::{
        identity::ProcessId,
        stack::{StackEnd, StackId},
    },
    unwind::{Image, Unwinder},
};
use perf::{Sample, Sampler};
use serde::Serialize;

#[derive(Parser)]
struct Args {
    /// The process
    #[arg(long)]
    of: u32,
    /// Samples to take
    #[arg(long)]
    count: usize,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// What it prints.
#[derive(Default, Serialize)]
struct Report {
    /// Stacks by their end.
    ends: BTreeMap<&'static str, u64>,
    /// Stacks without frames, of processes that were gone before they could be looked at.
    gone: u64,
    /// Samples that the kernel dropped because this process was late.
    dropped: u64,
    /// Nanoseconds for each stack, the reading of binaries seen for the first time included.
    nanoseconds: Vec<u64>,
    /// Frames of each stack.
    frames: Vec<usize>,
    /// Frames of the same stacks by frame pointers.
    frames_by_frame_pointers: Vec<usize>,
    /// Frames of each stack that `outermost` says is complete, and those by frame pointers.
    complete: Vec<(usize, usize)>,
    /// Memory of the unwinder's caches at the end, bytes.
    cache_bytes: usize,
    /// Different stacks.
    stacks: usize,
    /// Binaries with code in them.
    modules: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut sampler = Sampler::start()?;
    let mut family = Family::of(args.of);
    let mut unwinder = Unwinder::default();
    let mut report = Report::default();
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    while report.nanoseconds.len() < args.count {
        ensure!(
            Instant::now() < deadline,
            "{} of {} samples after {} seconds",
            report.nanoseconds.len(),
            args.count,
            args.seconds
        );
        sampler.wait()?;
        sampler.drain(|sample| {
            if report.nanoseconds.len() < args.count && family.contains(sample.pid) {
                unwind(&mut unwinder, &mut report, &sample);
            }
        });
    }
    let usage = unwinder.usage();
    report.dropped = sampler.dropped();
    report.cache_bytes = usage.bytes;
    report.stacks = usage.stacks;
    report.modules = usage.modules;
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &report)?;
    writeln!(output).context("standard output")
}

fn unwind(unwinder: &mut Unwinder, report: &mut Report, sample: &Sample<'_>) {
    let process = ProcessId {
        pid: sample.pid,
        start_time_ns: 0,
    };
    let image = Image { process, exec_id: 0 };
    let started = Instant::now();
    let id = unwinder.unwind(image, sample.registers, sample.memory, None);
    let elapsed = started.elapsed();
    if id == StackId::NONE && is_gone(sample.pid) {
        report.gone += 1;
        return;
    }
    let stack = unwinder.stack(id);
    let end = match stack.end {
        StackEnd::Outermost => "outermost",
        StackEnd::CopyEnded => "copy ended",
        StackEnd::Lost => "lost",
        StackEnd::TooDeep => "too deep",
    };
    let by_frame_pointers = frame_pointers::depth(sample.registers, sample.memory);
    *report.ends.entry(end).or_default() += 1;
    report
        .nanoseconds
        .push(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    report.frames.push(stack.frames.len());
    report.frames_by_frame_pointers.push(by_frame_pointers);
    if stack.end == StackEnd::Outermost {
        report.complete.push((stack.frames.len(), by_frame_pointers));
    }
}

/// Whether a process has no memory any more: it is a zombie, or nothing.
fn is_gone(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).map_or(true, |maps| maps.is_empty())
}

/// A process and its descendants.
struct Family {
    members: HashMap<u32, bool>,
}

impl Family {
    fn of(pid: u32) -> Self {
        Self {
            members: HashMap::from([(pid, true)]),
        }
    }

    fn contains(&mut self, pid: u32) -> bool {
        if let Some(&member) = self.members.get(&pid) {
            return member;
        }
        // A process that is gone already belongs to nobody.
        let member = pid > 1 && parent(pid).is_some_and(|parent| self.contains(parent));
        self.members.insert(pid, member);
        member
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}
