//! Histories into verdicts. One detector, one file; no clock, no I/O: time is an argument.
//!
//! [`bank`] keeps the past of a level at every scale of time, [`floor`] looks for climbs in it, [`survival`] asks whether what
//! a stack took still dies, [`looks`] holds what a closer look at the survivors showed, [`census`] what runtimes hold by
//! their own books, [`past`] what was said before, [`exhaustion`] says when a limit is reached. What they say as
//! [`witnesses`] is weighed by [`evidence`] and becomes a [`verdict`] in [`watch`], one for each resource of each subject; an
//! [`accusation`] stands until it is taken back. A level that never moved has none of this: 24 bytes.

mod accusation;
mod bank;
mod census;
mod classify;
mod evidence;
mod exhaustion;
mod floor;
mod gain;
mod judgement;
mod looks;
mod past;
mod remember;
mod slope;
mod subject;
mod survey;
mod survival;
mod verdict;
mod watch;
mod witnesses;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use self::{
    census::Books,
    remember::Memory,
    survey::Survey,
    watch::{Tick, Watch},
};
pub use self::{
    evidence::weights,
    judgement::Judgement,
    remember::Remembered,
    subject::{Levels, Observed, SubjectKey},
};
use crate::{
    model::{
        census::Census,
        confirm::{Confirmation, Wish},
        finding::{Holder, Resource, SETTLING_SECONDS, Verdict},
        identity::ProcessId,
    },
    raw::Moment,
};

/// Things looked at closely in one tick.
const MAX_WISHES: usize = 16;
/// Verdicts on processes that have ended, and how long they are shown.
const MAX_ENDED: usize = 64;
const ENDED_NS: u64 = 600 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;
/// A level that moves is not called healthy before.
const SETTLING_NS: u64 = SETTLING_SECONDS as u64 * SECOND_NS;

/// Sites are looked at so often, and as seldom while there are only a few samples of them.
const LOOK_NS: u64 = 2 * SECOND_NS;
const SELDOM_NS: u64 = 10 * SECOND_NS;
const FEW_SAMPLES: usize = 16;
/// A tick that is a little early is in time.
const SLACK_NS: u64 = SECOND_NS / 4;

/// Every verdict, and what it rests on.
#[derive(Debug, Default)]
pub struct Detection {
    subjects: BTreeMap<SubjectKey, Subject>,
    wishes: Vec<Wish>,
    memory: Memory,
    /// When each ended, and what was said of it then.
    ended: VecDeque<(u64, Judgement)>,
    pass: u64,
    unix_ms: u64,
}

#[derive(Debug, Default)]
struct Subject {
    program: Option<Arc<str>>,
    levels: [Level; Resource::ALL.len()],
    pass: u64,
    ticks: u64,
    began_ns: u64,
    seen_ns: u64,
    load: u64,
    looked_ns: u64,
    /// Load at the last look at sites: nothing moved while it is the same.
    looked_load: u64,
    /// What its runtimes hold; of a process that was asked.
    books: Option<Box<Books>>,
}

/// One level; nothing else is kept of what never moved.
#[derive(Debug, Default)]
struct Level {
    value: u64,
    since_ns: u64,
    watch: Option<Box<Watch>>,
}

impl Detection {
    /// Takes one tick into account: every subject that is alive. Who is missing has ended.
    pub fn update<'a>(&mut self, moment: Moment, observed: impl Iterator<Item = Observed<'a>>) {
        self.pass += 1;
        self.unix_ms = moment.unix_ms;
        let mut wishes: Vec<(f64, Wish)> = Vec::new();
        for observed in observed {
            let subject = self.subjects.entry(observed.subject.clone()).or_default();
            subject.pass = self.pass;
            if subject.ticks == 0 {
                subject.begin(moment.monotonic_ns, &observed, &mut self.memory);
            }
            subject.update(moment, &observed, &self.memory);
            if let Some(process) = observed.subject.process() {
                wishes.extend(subject.wishes(moment.monotonic_ns, process));
            }
        }
        // The most suspicious first; equal ones always in the same order.
        wishes.sort_by(|(a, of_a), (b, of_b)| {
            b.total_cmp(a)
                .then_with(|| (of_a.process, of_a.resource).cmp(&(of_b.process, of_b.resource)))
        });
        wishes.truncate(MAX_WISHES);
        self.wishes = wishes.into_iter().map(|(_, wish)| wish).collect();
        self.bury(moment);
    }

    fn bury(&mut self, moment: Moment) {
        let pass = self.pass;
        let gone = self.subjects.extract_if(.., |_, subject| subject.pass != pass);
        for (key, subject) in gone {
            for mut verdict in subject.remembered(&key) {
                verdict.last_unix_ms = moment.unix_ms;
                self.memory.keep(verdict);
            }
            let accused = subject.judgements(&key);
            for judgement in accused.filter(|judgement| judgement.verdict >= Verdict::Suspected) {
                let ended = Judgement {
                    verdict: Verdict::Ended,
                    seconds_to_limit: None,
                    exhausting: false,
                    ..judgement
                };
                self.ended.push_back((moment.monotonic_ns, ended));
            }
        }
        while self.ended.len() > MAX_ENDED
            || self
                .ended
                .front()
                .is_some_and(|(at_ns, _)| moment.monotonic_ns.saturating_sub(*at_ns) > ENDED_NS)
        {
            self.ended.pop_front();
        }
    }

    /// What is to be looked at closely before more can be said, the most urgent first.
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// The answer to a wish.
    pub fn confirmed(&mut self, now_ns: u64, confirmation: &Confirmation) {
        let key = SubjectKey::Process(confirmation.process);
        if let Some(subject) = self.subjects.get_mut(&key)
            && let Some(watch) = &mut subject.levels[confirmation.resource as usize].watch
        {
            watch.confirmed(now_ns, confirmation);
        }
    }

    /// What the runtimes and the allocator of a process hold now. One that is not newer than the last says nothing.
    pub fn counted(&mut self, census: &Census) {
        let key = SubjectKey::Process(census.process);
        if let Some(subject) = self.subjects.get_mut(&key) {
            let memory = subject.levels[Resource::Memory as usize].value;
            subject.books.get_or_insert_default().enter(census, memory);
        }
    }

    /// What a process holds more and more of, by the books of its runtimes; the most suspicious first, and where it was made
    /// is not filled in.
    pub fn holders(&self, now_ns: u64, process: ProcessId, resource: Resource) -> Vec<Holder> {
        let subject = self.subjects.get(&SubjectKey::Process(process));
        let books = subject.and_then(|subject| subject.books.as_ref());
        books.map_or_else(Vec::new, |books| books.holders(now_ns, resource))
    }

    /// Everything at `growing` or above, what exhausts a limit, and what lately recovered or ended; worst first.
    pub fn judgements(&self) -> Vec<Judgement> {
        let alive = self
            .subjects
            .iter()
            .flat_map(|(key, subject)| subject.judgements(key));
        let ended = self.ended.iter().map(|(_, judgement)| judgement.clone());
        let mut judgements: Vec<Judgement> = alive.chain(ended).collect();
        judgement::sort(&mut judgements);
        judgements
    }

    /// The worst verdict of one subject; `None` after too few readings, and while nothing can be said of what moves.
    pub fn verdict(&self, subject: &SubjectKey) -> Option<Verdict> {
        let subject = self.subjects.get(subject).filter(|subject| subject.ticks > 1)?;
        let settles = subject.seen_ns.saturating_sub(subject.began_ns) < SETTLING_NS;
        match subject.watches().map(|(_, watch)| watch.verdict()).max() {
            Some(Verdict::Healthy) if settles => None,
            worst => worst.or(Some(Verdict::Healthy)),
        }
    }

    /// What to keep for [`Self::remember`] after a restart.
    pub fn remembered(&self) -> Vec<Remembered> {
        let alive = self
            .subjects
            .iter()
            .flat_map(|(key, subject)| subject.remembered(key));
        let alive = alive.map(|verdict| Remembered {
            last_unix_ms: self.unix_ms,
            ..verdict
        });
        alive.chain(self.memory.iter().cloned()).collect()
    }

    /// Takes what an earlier run remembered; to be called before the first tick.
    pub fn remember(&mut self, remembered: Vec<Remembered>) {
        for verdict in remembered {
            self.memory.keep(verdict);
        }
    }
}

impl Subject {
    fn begin(&mut self, now_ns: u64, observed: &Observed<'_>, memory: &mut Memory) {
        self.program.clone_from(&observed.program);
        self.began_ns = now_ns;
        self.seen_ns = now_ns;
        self.load = observed.load;
        for (resource, level) in Resource::ALL.into_iter().zip(&mut self.levels) {
            level.value = observed.levels.of(resource);
            level.since_ns = now_ns;
            if let Some(verdict) = memory.take(&observed.subject, resource) {
                level.watch(now_ns).restore(now_ns, verdict);
            }
        }
    }

    fn update(&mut self, moment: Moment, observed: &Observed<'_>, memory: &Memory) {
        let now_ns = moment.monotonic_ns;
        let elapsed = now_ns.saturating_sub(self.seen_ns) as f32 / SECOND_NS as f32;
        let done = observed.load.saturating_sub(self.load) as f32;
        let load = if elapsed > 0.0 { done / elapsed } else { 0.0 };
        for (resource, level) in Resource::ALL.into_iter().zip(&mut self.levels) {
            let value = observed.levels.of(resource);
            if level.watch.is_none() && value != level.value {
                let seen_before = self.program.as_deref();
                let seen_before = seen_before.and_then(|program| memory.seen_before(program, resource));
                let watch = level.watch(now_ns);
                if seen_before.is_some() {
                    watch.was_seen_before();
                }
            }
            level.value = value;
        }
        self.books.take_if(|books| !books.is_fresh(now_ns));
        let survey = self.survey(now_ns, observed);
        for (resource, level) in Resource::ALL.into_iter().zip(&mut self.levels) {
            let Some(watch) = &mut level.watch else {
                continue;
            };
            watch.update(&Tick {
                now_ns,
                unix_ms: moment.unix_ms,
                resource,
                age: observed.age_ns as f64 / SECOND_NS as f64,
                watched: now_ns.saturating_sub(self.began_ns) as f64 / SECOND_NS as f64,
                level: level.value,
                load,
                limits: observed.limits,
                survey: survey.as_ref(),
                books: self.books.as_deref(),
                blind: observed.blind,
            });
        }
        self.load = observed.load;
        self.seen_ns = now_ns;
        self.ticks += 1;
    }

    /// A look at the sites when it is time for one and something moved.
    fn survey<'a>(&mut self, now_ns: u64, observed: &Observed<'a>) -> Option<Survey<'a>> {
        let process = observed.sites?;
        let samples = process.sites.live_samples() + process.first_touch.pages().len();
        let apart = if samples < FEW_SAMPLES { SELDOM_NS } else { LOOK_NS };
        let is_due = now_ns.saturating_sub(self.looked_ns) + SLACK_NS >= apart;
        let moves = self.levels.iter().any(|level| level.watch.is_some());
        let moved = self
            .watches()
            .any(|(_, watch)| watch.verdict() != Verdict::Healthy)
            || observed.load != self.looked_load;
        if samples == 0 || !is_due || !moves || !moved {
            return None;
        }
        self.looked_ns = now_ns;
        self.looked_load = observed.load;
        Some(Survey::of(process, now_ns))
    }

    fn watches(&self) -> impl Iterator<Item = (Resource, &Watch)> {
        let levels = Resource::ALL.into_iter().zip(&self.levels);
        levels.filter_map(|(resource, level)| Some((resource, level.watch.as_deref()?)))
    }

    fn wishes(&mut self, now_ns: u64, process: ProcessId) -> Vec<(f64, Wish)> {
        let levels = Resource::ALL.into_iter().zip(&mut self.levels);
        let watches = levels.filter_map(|(resource, level)| Some((resource, level.watch.as_deref_mut()?)));
        watches
            .filter_map(|(resource, watch)| watch.wish(now_ns, process, resource))
            .collect()
    }

    fn judgements(&self, key: &SubjectKey) -> impl Iterator<Item = Judgement> {
        self.watches()
            .filter(|(_, watch)| watch.verdict() > Verdict::Healthy || watch.is_exhausting())
            .map(|(resource, watch)| watch.judgement(key, resource))
    }

    fn remembered(&self, key: &SubjectKey) -> impl Iterator<Item = Remembered> {
        let verdicts = self.watches();
        let verdicts = verdicts.filter_map(|(resource, watch)| watch.remembered(key, resource));
        verdicts.map(|verdict| Remembered {
            program: self.program.clone(),
            ..verdict
        })
    }
}

impl Level {
    /// Its watch, which it has from now on.
    fn watch(&mut self, now_ns: u64) -> &mut Watch {
        let (value, since_ns) = (self.value, self.since_ns);
        self.watch
            .get_or_insert_with(|| Box::new(Watch::new(value, since_ns, now_ns)))
    }
}
