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

mod group;
mod hazard;
mod shape;

use std::collections::BTreeMap;

use leakwatch_common::kind::Kind;

use self::{group::Group, hazard::Test};
use super::survey::Survey;
use crate::{
    aggregate::{cohorts::Cohorts, lifetimes::Lifetimes, sites::Survivor},
    model::{confirm::MAX_ITEMS, finding::Resource, stack::StackId},
};

/// So many closed ones say what is usual.
const CLOSED: u64 = 20;
/// Stacks that are kept of what was found.
const MAX_FOUND: usize = 16;
/// The part of what a site took that it gave back, from which on it is known to give back.
const TURNOVER: f64 = 0.1;
/// The part of what is overdue of a kind that its owner holds; and that several have to hold to speak for it.
const OWNS: f64 = 0.8;
const MOST: f64 = 0.5;

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
    /// Deaths were lost since the last look.
    blind: bool,
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

    /// Deaths were lost: what is seen to live may have died. The time up to the next look says nothing.
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
