//! Histories into verdicts. One detector, one file; no clock, no I/O: time is an argument.

mod bank;
mod floor;
mod judgement;
mod slope;
mod subject;

use std::collections::BTreeMap;

use self::{
    bank::Bank,
    floor::{Floor, Stakes},
};
pub use self::{
    judgement::Judgement,
    subject::{Levels, Observed, SubjectKey},
};
use crate::{
    model::{
        confirm::{Confirmation, Wish},
        finding::{Estimate, Evidence, Limit, Resource, Verdict},
        snapshot::LimitUse,
    },
    raw::Moment,
};

/// Natural logarithm of the odds that any one resource of any one process leaks: one in a thousand.
const PRIOR: f64 = -6.9;

/// Every verdict, and what it rests on.
#[derive(Debug, Default)]
pub struct Detection {
    subjects: BTreeMap<SubjectKey, Subject>,
    wishes: Vec<Wish>,
    pass: u64,
}

#[derive(Debug, Default)]
struct Subject {
    pass: u64,
    ticks: u64,
    load: u64,
    seen_ns: u64,
    watches: [Watch; Resource::ALL.len()],
}

/// One resource of one subject.
#[derive(Debug, Default)]
struct Watch {
    level: u64,
    /// Since when it stands at that; nothing else is kept of what never moved.
    since_ns: u64,
    moved: Option<Box<Moved>>,
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Moved {
    bank: Bank,
    floor: Floor,
}

impl Detection {
    /// Takes one tick into account: every subject that is alive. Who is missing has ended.
    pub fn update<'a>(&mut self, moment: Moment, observed: impl Iterator<Item = Observed<'a>>) {
        self.pass += 1;
        for observed in observed {
            let subject = self.subjects.entry(observed.subject.clone()).or_default();
            subject.pass = self.pass;
            subject.update(moment.monotonic_ns, &observed);
        }
        self.subjects.retain(|_, subject| subject.pass == self.pass);
    }

    /// What is to be looked at closely before more can be said.
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// The answer to a wish.
    pub fn confirmed(&mut self, _now_ns: u64, confirmation: &Confirmation) {
        self.wishes.retain(|wish| wish.process != confirmation.process);
    }

    /// Everything at `growing` or above and what lately recovered or ended, worst first.
    pub fn judgements(&self) -> Vec<Judgement> {
        let mut judgements: Vec<Judgement> = self
            .subjects
            .iter()
            .flat_map(|(key, subject)| subject.judgements(key))
            .collect();
        judgement::sort(&mut judgements);
        judgements
    }

    /// The worst verdict of one subject; `None` after too few readings.
    pub fn verdict(&self, subject: &SubjectKey) -> Option<Verdict> {
        let subject = self.subjects.get(subject).filter(|subject| subject.ticks > 1)?;
        subject.watches.iter().map(Watch::verdict).max()
    }
}

impl Subject {
    fn update(&mut self, now_ns: u64, observed: &Observed<'_>) {
        let seconds = now_ns.saturating_sub(self.seen_ns) as f64 / 1e9;
        let done = observed.load.saturating_sub(self.load) as f64;
        let load = if self.ticks > 0 && seconds > 0.0 {
            done / seconds
        } else {
            0.0
        };
        for (resource, watch) in Resource::ALL.into_iter().zip(&mut self.watches) {
            watch.limit = tightest(observed.limits, resource);
            watch.update(
                now_ns,
                resource,
                observed.levels.of(resource),
                load,
                self.ticks == 0,
            );
        }
        self.load = observed.load;
        self.seen_ns = now_ns;
        self.ticks += 1;
    }

    fn judgements(&self, key: &SubjectKey) -> impl Iterator<Item = Judgement> {
        let watches = Resource::ALL.into_iter().zip(&self.watches);
        watches
            .filter(|(_, watch)| watch.verdict() >= Verdict::Growing)
            .map(|(resource, watch)| watch.judgement(key, resource))
    }
}

impl Watch {
    fn update(&mut self, now_ns: u64, resource: Resource, level: u64, load: f64, first: bool) {
        if first {
            (self.level, self.since_ns) = (level, now_ns);
        }
        if self.moved.is_none() && level == self.level {
            return;
        }
        let moved = self.moved.get_or_insert_with(|| {
            Box::new(Moved {
                bank: Bank::still(self.level, self.since_ns, now_ns),
                floor: Floor::default(),
            })
        });
        self.level = level;
        let limit = self.limit.as_ref();
        let headroom = limit.map(|limit| limit.value.saturating_sub(limit.in_use));
        let stakes = Stakes::new(resource, limit.map(|limit| limit.value), headroom);
        let closed = moved.bank.add(now_ns, level, load);
        moved.floor.update(&moved.bank, closed, now_ns, &stakes);
    }

    fn verdict(&self) -> Verdict {
        let grows = self.moved.as_ref().is_some_and(|moved| moved.floor.growing());
        if grows { Verdict::Growing } else { Verdict::Healthy }
    }

    fn judgement(&self, key: &SubjectKey, resource: Resource) -> Judgement {
        let climb = self.moved.as_ref().and_then(|moved| moved.floor.newest());
        Judgement {
            subject: key.clone(),
            process: key.process(),
            resource,
            kind: resource.name().to_owned(),
            verdict: self.verdict(),
            class: None,
            confidence: 1.0 / (1.0 + (-PRIOR).exp()),
            rate: climb.map(|climb| Estimate {
                value: climb.rate,
                low: climb.rate / 2.0,
                high: climb.rate * 2.0,
            }),
            in_use: self.level,
            limit: self.limit.clone(),
            seconds_to_limit: None,
            exhausting: false,
            since_unix_ms: None,
            evidence: vec![Evidence {
                name: "prior".to_owned(),
                log_odds: PRIOR,
                text: "one in a thousand leaks".to_owned(),
            }],
            sites: Vec::new(),
        }
    }
}

/// The limit with the least part left.
fn tightest(limits: &[LimitUse], resource: Resource) -> Option<Limit> {
    let of = limits
        .iter()
        .filter(|limit| limit.resource == resource && limit.limit.value > 0);
    let used = |limit: &LimitUse| limit.limit.in_use as f64 / limit.limit.value as f64;
    of.max_by(|a, b| {
        used(a)
            .total_cmp(&used(b))
            .then_with(|| b.limit.name.cmp(&a.limit.name))
    })
    .map(|limit| limit.limit.clone())
}
