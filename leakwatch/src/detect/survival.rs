//! Do old things from one place still die?
//!
//! For each stack, and for each kind over all stacks, a sequential test. Healthy means: what has reached an age `a` well
//! beyond the usual dies with a hazard of at least `1/(3a)` — a tail as heavy as Pareto's with index 1/3, whose mean is
//! infinite. Each sampled survivor adds what that hazard promised, each late death takes away what a twentieth of it would not
//! have done: `W = max(0, W + 0.95 dE - 3 dD)`, a CUSUM of an e-process, so a threshold of 20 is crossed by chance once in e^20
//! looks. There is one for each power of two as the age beyond which a death is late, so that the age is fixed before the
//! things that it judges are born.
//!
//! What it cannot know: lifetimes longer than about three times the time watched. So it says "nothing old has died yet", and
//! the shape of the survivors over eight generations has to say that it goes on.

use std::collections::BTreeMap;

use leakwatch_common::kind::Kind;

use crate::{
    aggregate::{
        Process,
        cohorts::{Cohort, Cohorts},
        lifetimes::{BUCKETS, Lifetimes},
        sites::Survivor,
    },
    model::{confirm::MAX_ITEMS, finding::Resource, stack::StackId},
};

/// Logarithm of the evidence from which on the test has passed.
const THRESHOLD: f64 = 20.0;
/// The hazard of the null is one in so many ages.
const HAZARD: f64 = 3.0;
/// What a survivor counts, given an alternative whose hazard is 20 times smaller; and what a late death takes away, ln 20.
const GAIN: f64 = 0.95;
const LOSS: f64 = 3.0;
/// The least age beyond which a death is late is `2^22` us, four seconds.
const FIRST_POWER: usize = 22;
const POWERS: usize = BUCKETS - FIRST_POWER;
/// Ages tried: that one, and 4 and 16 times as much.
const STEPS: [usize; 3] = [0, 2, 4];
/// So many closed ones say what is usual.
const CLOSED: u64 = 20;
/// Survivors are looked at over so many times the age.
const MEMORY: u64 = 64;

/// Stacks that are kept of what was found.
const MAX_FOUND: usize = 16;

const GENERATIONS: usize = 8;
/// Generations with survivors.
const FILLED: usize = 7;
/// The later half has at least this part of the survivors of the earlier one.
const LATER_HALF: f64 = 0.7;
/// The most that one generation may have.
const CONCENTRATION: f64 = 0.4;
/// Sampled survivors.
const LEAST_SAMPLES: usize = 16;
/// Of so many pages a closer look says something. It is the only one for ten minutes, so it is not taken before.
const PROMISING_PAGES: usize = 32;
/// For how long a site has to be watched; for a closer look it is shorter, because that takes its time, too.
const LEAST_AGE_NS: u64 = 20_000_000_000;
const PROMISING_AGE_NS: u64 = 8_000_000_000;
/// The part of what a site took that it gave back, from which on it is known to give back.
const TURNOVER: f64 = 0.1;
/// The part of what is overdue of a kind that its owner holds; and that several have to hold to speak for it.
const OWNS: f64 = 0.8;
const MOST: f64 = 0.5;

/// What is known of the things that one process took, at one moment.
pub(super) struct Survey<'a> {
    now_ns: u64,
    /// By kind, stack and age.
    survivors: Vec<Survivor>,
    /// By kind and stack.
    sites: Vec<(Kind, StackId, &'a Lifetimes, &'a Cohorts)>,
}

impl<'a> Survey<'a> {
    pub(super) fn of(process: &'a Process, now_ns: u64) -> Self {
        let births = process.sites.iter();
        let births = births.map(|(kind, stack, site)| (kind, stack, &site.lifetimes, &site.cohorts));
        let touches = process.first_touch.stacks();
        let touches = touches.map(|(stack, of)| (Kind::FirstTouch, stack, &of.lifetimes, &of.cohorts));
        let mut sites: Vec<_> = births.chain(touches).collect();
        sites.sort_unstable_by_key(|&(kind, stack, ..)| (kind, stack));
        Self {
            now_ns,
            survivors: process.survivors(),
            sites,
        }
    }

    fn kinds(&self, resource: Resource) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.sites.iter().map(|(kind, ..)| *kind).collect();
        kinds.dedup();
        kinds.retain(|&kind| counts_as(kind, resource));
        kinds
    }

    fn survivors(&self, kind: Kind, stack: Option<StackId>) -> &[Survivor] {
        let of = |survivor: &Survivor| (survivor.kind, stack.map(|_| survivor.stack));
        let from = self
            .survivors
            .partition_point(|survivor| of(survivor) < (kind, stack));
        let to = self
            .survivors
            .partition_point(|survivor| of(survivor) <= (kind, stack));
        &self.survivors[from..to]
    }
}

/// Whether survivors of a kind make that resource grow.
fn counts_as(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Fd => kind.is_fd(),
        Resource::Thread => kind == Kind::Thread,
        Resource::Memory => matches!(kind, Kind::Mapping | Kind::FirstTouch),
        Resource::Maps => kind == Kind::Mapping,
    }
}

/// What the test says of one stack, or of all of a kind together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Survival {
    pub(super) kind: Kind,
    /// `None` of all together.
    pub(super) stack: Option<StackId>,
    /// The test and the shape have passed.
    pub(super) passed: bool,
    /// It goes on, whether or not the test has passed.
    pub(super) rising: bool,
    /// It may soon be: worth a closer look.
    pub(super) promising: bool,
    /// Logarithm of the evidence.
    pub(super) log_evidence: f64,
    /// Survivors older than [`Self::beyond_ns`].
    pub(super) overdue: u64,
    /// The same, samples.
    pub(super) overdue_samples: usize,
    /// The age beyond which something is overdue.
    pub(super) beyond_ns: u64,
    /// Generations with survivors, of eight.
    pub(super) generations: usize,
    /// Taken so far, and lifetimes seen to end, samples.
    pub(super) taken: u64,
    pub(super) closed: u64,
    /// Who holds what is overdue gives back a good part of what it takes.
    pub(super) turns_over: bool,
    /// The part of what it took, in the time looked at, that is still held.
    pub(super) share: f64,
    /// When the first was taken, nanoseconds.
    pub(super) began_ns: u64,
    /// Taken since then, nanoseconds: the time looked at.
    pub(super) since_ns: u64,
    /// The oldest that is overdue was taken then, nanoseconds.
    pub(super) oldest_ns: u64,
    /// Everything taken in that time and still held.
    pub(super) held: u64,
}

impl Survival {
    fn rank(&self) -> (bool, bool, bool) {
        (self.passed, self.rising, self.promising)
    }

    /// What one place gives back says nothing of what another keeps: only those that hold something overdue count.
    fn is_made_of(&mut self, places: &[Self]) {
        let holders = || places.iter().filter(|place| place.overdue > 0);
        let give_back = |place: &&Self| {
            place.kind != Kind::FirstTouch && place.closed as f64 >= TURNOVER * place.taken as f64
        };
        let overdue = holders().map(|place| place.overdue).sum::<u64>() as f64;
        let given_back = holders()
            .filter(give_back)
            .map(|place| place.overdue)
            .sum::<u64>() as f64;
        self.taken = holders().map(|place| place.taken).sum();
        self.closed = holders().map(|place| place.closed).sum();
        self.turns_over =
            overdue > 0.0 && given_back >= MOST * overdue && turns_over(self.closed, self.taken);
    }
}

fn turns_over(closed: u64, taken: u64) -> bool {
    closed >= CLOSED && closed as f64 >= TURNOVER * taken as f64
}

/// The tests of one resource of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Survivals {
    tests: BTreeMap<(Kind, Option<StackId>), Test>,
    found: Vec<Survival>,
    /// Items of the most suspicious that are overdue, from its oldest to its youngest.
    overdue: Vec<u64>,
    /// Records were lost since the last look.
    blind: bool,
}

#[derive(Clone, Debug)]
struct Test {
    looked_ns: u64,
    /// `W` by power of two of the late age.
    evidence: [f64; POWERS],
    /// Late deaths counted.
    deaths: [u32; POWERS],
}

impl Survivals {
    /// Looks at everything that counts as `resource`; says whether nothing was lost since the last look.
    pub(super) fn update(&mut self, survey: &Survey<'_>, resource: Resource) -> bool {
        let blind = std::mem::take(&mut self.blind);
        self.found.clear();
        let mut seen: BTreeMap<(Kind, Option<StackId>), Test> = BTreeMap::new();
        for kind in survey.kinds(resource) {
            let first = self.found.len();
            let sites: Vec<_> = survey.sites.iter().filter(|site| site.0 == kind).collect();
            let mut all = Lifetimes::default();
            for &&(_, stack, lifetimes, cohorts) in &sites {
                all.merge(lifetimes);
                if sites.len() > 1 {
                    let cohorts = [cohorts];
                    let group = Group::new(survey, kind, Some(stack), lifetimes, &cohorts);
                    self.judge(&mut seen, &group, blind);
                }
            }
            let cohorts: Vec<&Cohorts> = sites.iter().map(|site| site.3).collect();
            // A kind that one stack takes is that stack.
            let stack = (sites.len() == 1).then(|| sites[0].1);
            let group = Group::new(survey, kind, stack, &all, &cohorts);
            self.judge(&mut seen, &group, blind);
            if let [places @ .., whole] = &mut self.found[first..]
                && whole.stack.is_none()
            {
                whole.is_made_of(places);
            }
        }
        self.tests = seen;
        self.found.retain(|found| found.overdue > 0);
        self.found.sort_by(|a, b| {
            b.rank()
                .cmp(&a.rank())
                .then_with(|| b.log_evidence.total_cmp(&a.log_evidence))
                .then_with(|| (a.kind, a.stack).cmp(&(b.kind, b.stack)))
        });
        self.owner_first();
        self.found.truncate(MAX_FOUND);
        self.overdue = self
            .found
            .first()
            .filter(|found| found.promising)
            .map_or_else(Vec::new, |found| {
                let end_ns = survey.now_ns.saturating_sub(found.beyond_ns);
                let mut overdue: Vec<&Survivor> = survey.survivors(found.kind, found.stack).iter().collect();
                overdue.retain(|survivor| survivor.since_ns <= end_ns);
                overdue.sort_unstable_by_key(|survivor| (survivor.since_ns, survivor.item));
                // Spread over all ages, so that neither the first nor the last ones speak for all.
                let step = overdue.len().div_ceil(MAX_ITEMS).max(1);
                overdue
                    .iter()
                    .step_by(step)
                    .map(|survivor| survivor.item)
                    .collect()
            });
        !blind
    }

    /// All of a kind say at least as much as the one stack that holds nearly all of it; then the stack speaks.
    fn owner_first(&mut self) {
        let Some(whole) = self.found.first().filter(|first| first.stack.is_none()) else {
            return;
        };
        let owns = |of: &Survival| {
            of.kind == whole.kind
                && of.stack.is_some()
                && of.rank() == whole.rank()
                && of.overdue as f64 >= OWNS * whole.overdue as f64
        };
        if let Some(owner) = self.found.iter().position(owns) {
            self.found[..=owner].rotate_right(1);
        }
    }

    fn judge(&mut self, seen: &mut BTreeMap<(Kind, Option<StackId>), Test>, group: &Group<'_>, blind: bool) {
        let key = (group.kind, group.stack);
        let mut test = self.tests.remove(&key).unwrap_or_else(Test::new);
        if blind {
            test.skip(group);
        } else {
            test.update(group);
        }
        self.found.extend(group.survival(&test));
        seen.insert(key, test);
    }

    /// Records were lost: what is seen to live may have died. The time up to the next look says nothing.
    pub(super) fn lose(&mut self) {
        self.blind = true;
    }

    /// Items of the first one found, if it is promising, that are overdue.
    pub(super) fn overdue(&self) -> &[u64] {
        &self.overdue
    }

    /// What was found at the last look, the most suspicious first.
    pub(super) fn found(&self) -> &[Survival] {
        &self.found
    }
}

impl Test {
    fn new() -> Self {
        Self {
            looked_ns: 0,
            evidence: [0.0; POWERS],
            deaths: [0; POWERS],
        }
    }

    fn update(&mut self, group: &Group<'_>) {
        // By power of two of the age: how much the logarithm of the ages grew there since the last look.
        let mut exposed = [0.0_f64; POWERS + 1];
        for survivor in group.survivors {
            let age = micros(group.now_ns.saturating_sub(survivor.since_ns));
            let before = micros(self.looked_ns.saturating_sub(survivor.since_ns)) as f64;
            let mut top = age as f64;
            for power in (0..=age.ilog2() as usize).rev() {
                let Some(slot) = power.checked_sub(FIRST_POWER) else {
                    break;
                };
                let from = ((1_u64 << power) as f64).max(before);
                exposed[slot.min(POWERS)] += (top / from).ln();
                if before >= (1_u64 << power) as f64 {
                    break;
                }
                top = from;
            }
        }
        let mut expected = exposed[POWERS];
        for slot in (0..POWERS).rev() {
            expected += exposed[slot];
            let deaths = group.late_deaths(slot);
            let new = f64::from(deaths.saturating_sub(self.deaths[slot]));
            let evidence = self.evidence[slot] + GAIN * expected / HAZARD - LOSS * new;
            self.evidence[slot] = evidence.max(0.0);
            self.deaths[slot] = deaths;
        }
        self.looked_ns = group.now_ns;
    }

    /// Neither who lived nor who died since the last look is counted.
    fn skip(&mut self, group: &Group<'_>) {
        for (slot, deaths) in self.deaths.iter_mut().enumerate() {
            *deaths = group.late_deaths(slot);
        }
        self.looked_ns = group.now_ns;
    }

    fn evidence(&self, power: usize) -> f64 {
        let slot = power.saturating_sub(FIRST_POWER).min(POWERS - 1);
        self.evidence[slot]
    }
}

struct Group<'a> {
    now_ns: u64,
    kind: Kind,
    stack: Option<StackId>,
    survivors: &'a [Survivor],
    lifetimes: &'a Lifetimes,
    cohorts: &'a [&'a Cohorts],
}

impl<'a> Group<'a> {
    fn new(
        survey: &'a Survey<'_>,
        kind: Kind,
        stack: Option<StackId>,
        lifetimes: &'a Lifetimes,
        cohorts: &'a [&'a Cohorts],
    ) -> Self {
        Self {
            now_ns: survey.now_ns,
            kind,
            stack,
            survivors: survey.survivors(kind, stack),
            lifetimes,
            cohorts,
        }
    }

    fn births(&self) -> impl Iterator<Item = Cohort> {
        self.cohorts.iter().flat_map(|cohorts| cohorts.iter())
    }

    fn late_deaths(&self, slot: usize) -> u32 {
        u32::try_from(self.lifetimes.at_least(FIRST_POWER + slot)).unwrap_or(u32::MAX)
    }

    /// The power of two, microseconds, beyond which something is overdue.
    fn usual(&self, age_ns: u64) -> usize {
        let usual = if self.lifetimes.count() >= CLOSED {
            2 * self.lifetimes.quantile_ns(0.95).unwrap_or(0)
        } else {
            age_ns / 8
        };
        // To the nearest: 4.2 s and 8.4 s meet at 5.9 s, where the square is 2^45.
        let micros = u128::from((usual / 1_000).max(1));
        let power = (micros * micros).ilog2().div_ceil(2) as usize;
        power.clamp(FIRST_POWER, BUCKETS - 1)
    }

    fn survival(&self, test: &Test) -> Option<Survival> {
        let began_ns = self
            .cohorts
            .iter()
            .filter_map(|cohorts| cohorts.began_ns())
            .min()?;
        let age_ns = self.now_ns.saturating_sub(began_ns);
        let usual = self.usual(age_ns);
        let tried = STEPS
            .iter()
            .map(|step| usual + step)
            .filter(|&power| power < BUCKETS);
        let power = tried.max_by(|&a, &b| {
            // Of equal ones the shorter age.
            test.evidence(a).total_cmp(&test.evidence(b)).then(b.cmp(&a))
        })?;
        let log_evidence = test.evidence(power) - (STEPS.len() as f64).ln();
        let beyond_ns = 1_000_u64 << power;
        let end_ns = self.now_ns.saturating_sub(beyond_ns);
        let since_ns = began_ns.max(self.now_ns.saturating_sub(beyond_ns.saturating_mul(MEMORY)));
        let overdue: Vec<&Survivor> = self
            .survivors
            .iter()
            .filter(|survivor| survivor.since_ns <= end_ns)
            .collect();
        let shape = Shape::of(&overdue, since_ns, end_ns);
        let recent = self
            .survivors
            .iter()
            .filter(|survivor| survivor.since_ns >= since_ns);
        let held = recent.clone().map(|survivor| survivor.weight).sum();
        let seen = recent.count() as f64;
        let samples: u32 = self
            .births()
            .filter(|cohort| cohort.since_ns >= since_ns)
            .map(|cohort| cohort.samples)
            .sum();
        let closed = self.lifetimes.count();
        let taken = self.births().map(|cohort| u64::from(cohort.samples)).sum::<u64>();
        let spreads = shape.spreads() && overdue.len() >= LEAST_SAMPLES;
        let is_memory = matches!(self.kind, Kind::FirstTouch | Kind::Mapping);
        let suffices = !is_memory || overdue.len() >= PROMISING_PAGES;
        let promising = spreads && suffices && age_ns >= PROMISING_AGE_NS;
        let rising = spreads && age_ns >= LEAST_AGE_NS && shape.filled >= FILLED;
        Some(Survival {
            kind: self.kind,
            stack: self.stack,
            passed: rising && log_evidence >= THRESHOLD,
            rising,
            promising,
            log_evidence,
            overdue: overdue.iter().map(|survivor| survivor.weight).sum(),
            overdue_samples: overdue.len(),
            beyond_ns,
            generations: shape.filled,
            closed,
            // Pages at the end of a heap come and go whoever keeps the rest.
            turns_over: self.kind != Kind::FirstTouch && turns_over(closed, taken),
            taken,
            share: if samples > 0 {
                (seen / f64::from(samples)).min(1.0)
            } else {
                1.0
            },
            began_ns,
            since_ns,
            held,
            oldest_ns: overdue
                .iter()
                .map(|survivor| survivor.since_ns)
                .min()
                .unwrap_or(self.now_ns),
        })
    }
}

/// How the survivors are spread over the time in which they were born.
struct Shape {
    filled: usize,
    later_half: f64,
    concentration: f64,
}

impl Shape {
    fn of(overdue: &[&Survivor], since_ns: u64, end_ns: u64) -> Self {
        let width = (end_ns.saturating_sub(since_ns) / GENERATIONS as u64).max(1);
        let mut generations = [0_u64; GENERATIONS];
        for survivor in overdue.iter().filter(|survivor| survivor.since_ns >= since_ns) {
            let index = (survivor.since_ns - since_ns) / width;
            generations[usize::try_from(index).unwrap_or(GENERATIONS).min(GENERATIONS - 1)] +=
                survivor.weight;
        }
        let sum = |of: &[u64]| of.iter().sum::<u64>() as f64;
        let (earlier, later) = generations.split_at(GENERATIONS / 2);
        let most = generations.iter().copied().max().unwrap_or(0) as f64;
        Self {
            filled: generations.iter().filter(|&&survivors| survivors > 0).count(),
            later_half: sum(later) / sum(earlier).max(1.0),
            concentration: most / sum(&generations).max(1.0),
        }
    }

    /// It does not dry up and did not come at once.
    fn spreads(&self) -> bool {
        self.later_half >= LATER_HALF && self.concentration <= CONCENTRATION
    }
}

fn micros(ns: u64) -> u64 {
    (ns / 1_000).max(1)
}
