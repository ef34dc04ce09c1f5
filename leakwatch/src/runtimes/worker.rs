//! Censuses are taken in a thread of their own: one takes as long as there is memory to read.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

use super::{RUNTIMES, memory::Memory, target::Target, unknown};
use crate::{
    clock::{ClockId, now_ns},
    model::{
        census::{Census, CensusWish, MAX_ROWS, RuntimeView},
        identity::ProcessId,
    },
    recognise::Recogniser,
};

/// A census to take.
pub(super) struct Job {
    pub(super) wish: CensusWish,
    /// Now, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) now_ns: u64,
}

/// A thread that takes censuses, one after the other, until this is dropped.
pub(super) struct Worker {
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
}

/// What came of a [`Job`].
pub(super) struct Outcome {
    /// `None` when the process is gone, or has no runtime that is known.
    pub(super) census: Option<Census>,
    /// Time of a processor that it took, nanoseconds: less than it lasted where others work too.
    pub(super) cost_ns: u64,
}

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, todo) = channel::<Job>();
        let (done, outcomes) = channel();
        thread::Builder::new().name("census".to_owned()).spawn(move || {
            let mut recogniser = Recogniser::default();
            for job in todo {
                let before_ns = now_ns(ClockId::ThreadCPUTime);
                let census = census(job.wish.process, job.now_ns, &mut recogniser);
                let cost_ns = now_ns(ClockId::ThreadCPUTime).saturating_sub(before_ns);
                if done.send(Outcome { census, cost_ns }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, outcomes })
    }

    pub(super) fn submit(&self, job: Job) {
        // It ends only with this. After a panic there, no outcome comes, and it is replaced like one that waits for ever.
        let _ = self.jobs.send(job);
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }
}

/// What is said of a process that was gone before all of it was read: what was read until then may be any part of it.
const ENDED: &str = "it ended, or became another program, while it was counted";

/// `None` when the process is gone, is another one by now, or has no runtime that is known.
pub(super) fn census(process: ProcessId, now_ns: u64, recogniser: &mut Recogniser) -> Option<Census> {
    let began = Instant::now();
    let mut target = Target::open(process).ok()?;
    target.recognise(recogniser);
    let mut memory = Memory::of(&target);
    let views = RUNTIMES
        .iter()
        .filter_map(|runtime| runtime.view(&target, &mut memory))
        .map(bounded);
    let mut views: Vec<RuntimeView> = views.collect();
    if !target.is_there() {
        views = views
            .into_iter()
            .map(|view| unknown(&view.runtime, view.version, &ENDED))
            .collect();
    }
    (!views.is_empty()).then(|| Census {
        process,
        taken_ns: now_ns,
        took_ns: u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        read_bytes: memory.bytes_read(),
        views,
    })
}

/// The rows that hold most, by bytes where they are known.
fn bounded(mut view: RuntimeView) -> RuntimeView {
    view.rows.sort_by(|a, b| {
        let holds = |bytes: Option<u64>, count| (bytes.unwrap_or(0), count);
        holds(b.bytes, b.count)
            .cmp(&holds(a.bytes, a.count))
            .then_with(|| (a.counted, &a.name).cmp(&(b.counted, &b.name)))
    });
    view.rows.truncate(MAX_ROWS);
    view
}
