//! A trace that runs, and the report of it.

use std::time::{Duration, Instant};

use leakwatch_common::allocation::Total;
use log::warn;

use super::{
    TraceError, merge,
    prepare::Prepared,
    survivors::{Births, Observation, Survivors},
    usage::{self, SystemTime},
};
use crate::{
    aggregate::Unwind as _,
    assemble::Names as _,
    attribute::blame,
    call_sites::CallSites,
    clock::{self, ClockId},
    decode::{Reading, decode},
    model::{
        stack::StackId,
        trace::{AllocationSite, TraceCost, TraceReport},
    },
};

/// How long names are waited for at the end.
const NAMES: Duration = Duration::from_secs(20);
/// Places in a report.
const MOST_SUSPECTS: usize = 50;
const MOST_OTHERS: usize = 20;

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
    resident: Option<i64>,
    began: Instant,
    began_ns: u64,
}

impl Trace {
    /// The probes are attached.
    pub(super) fn begin(prepared: Prepared) -> Result<Self, TraceError> {
        Ok(Self {
            call_sites: CallSites::start().map_err(TraceError::Symbols)?,
            births: Births::default(),
            exec_id: None,
            other_program: false,
            before: prepared.probes.totals()?,
            system: SystemTime::of(prepared.options.pid.get()),
            resident: usage::resident_anonymous(prepared.options.pid.get()),
            began: Instant::now(),
            began_ns: now_ns(),
            prepared,
        })
    }

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
        } else if usage::started(pid).is_ok_and(|started| started == self.prepared.started) {
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
        let resident = usage::resident_anonymous(pid);
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
        // A name that does not come in time says so in its place.
        self.call_sites.settle(NAMES);
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
            live_bytes: whole(places.iter().map(|place| place.live_bytes).sum()),
            grown_bytes: resident.zip(self.resident).map(|(now, before)| now - before),
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates of counts and bytes: not negative, and a cast saturates"
)]
fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}

fn site(call_sites: &mut CallSites, place: &Survivors, all_old: f64) -> AllocationSite {
    let (frames, cut) = if place.stack == StackId::NONE {
        (Vec::new(), Some("the stack is not known".to_owned()))
    } else {
        call_sites.frames(place.stack)
    };
    AllocationSite {
        function: blame::function(&frames),
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
    clock::now_ns(ClockId::Monotonic)
}
