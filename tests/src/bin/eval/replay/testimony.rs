//! What was said of one case, reason by reason: what the weights of reasons are fitted on.

use leakwatch::{
    detect::{Judgement, weights},
    model::finding::Resource,
};

/// Names of reasons that are no evidence of their own: they keep a verdict that was reached before.
const KEEPS: [&str; 2] = ["upheld", "remembered"];

/// Which reasons were given, by index among [`weights`], and how many times each counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reasons(pub Vec<(usize, f64)>);

impl Reasons {
    fn of(judgement: &Judgement) -> Self {
        let mut given: Vec<(usize, f64)> = Vec::with_capacity(judgement.evidence.len());
        for evidence in &judgement.evidence {
            if KEEPS.contains(&evidence.name.as_str()) {
                continue;
            }
            let found = weights()
                .enumerate()
                .find(|(_, (name, _))| *name == evidence.name);
            given.extend(found.map(|(index, (_, weight))| (index, evidence.log_odds / weight)));
        }
        given.sort_by_key(|&(index, _)| index);
        Self(given)
    }

    /// What they add up to.
    pub(crate) fn log_odds(&self, weights: &[f64]) -> f64 {
        self.0.iter().map(|&(index, times)| weights[index] * times).sum()
    }
}

/// How sure leakwatch was at some time.
pub(crate) struct Claim {
    pub confidence: f64,
    /// Whether there was a leak by then.
    pub leaks: bool,
    pub reasons: Reasons,
    /// Whether it was so sure only because of what it had said before.
    pub is_kept: bool,
}

impl Claim {
    pub(super) fn of(judgement: &Judgement, leaks: bool) -> Self {
        let mut evidence = judgement.evidence.iter();
        Self {
            confidence: judgement.confidence,
            leaks,
            reasons: Reasons::of(judgement),
            is_kept: evidence.any(|evidence| KEEPS.contains(&evidence.name.as_str())),
        }
    }
}

impl Claim {
    /// Logarithm of the odds claimed.
    pub(crate) fn log_odds(&self) -> f64 {
        let confidence = self.confidence.clamp(1e-9, 1.0 - 1e-9);
        (confidence / (1.0 - confidence)).ln()
    }
}

/// The same reasons, tick after tick.
pub(crate) struct Spell {
    pub resource: Resource,
    /// Whether the leak is one of that resource, if there is one.
    pub about: bool,
    pub reasons: Reasons,
    /// Whether there was a leak when it began.
    pub leaks: bool,
    /// The first tick and the last.
    pub ticks: (usize, usize),
}

/// Every spell of a case, those of one resource in order of time.
#[derive(Default)]
pub(crate) struct Testimony {
    pub spells: Vec<Spell>,
    /// Seconds of a tick.
    pub tick: f64,
}

impl Testimony {
    pub(super) fn take(&mut self, tick: usize, judgement: &Judgement, about: bool, leaks: bool) {
        let resource = judgement.resource;
        let reasons = Reasons::of(judgement);
        if reasons.0.is_empty() {
            return;
        }
        let mut before = self.spells.iter_mut().rev();
        if let Some(last) = before.find(|spell| spell.resource == resource)
            && last.ticks.1 + 1 == tick
            && last.reasons == reasons
            && last.leaks == leaks
        {
            last.ticks.1 = tick;
            return;
        }
        self.spells.push(Spell {
            resource,
            about,
            reasons,
            leaks,
            ticks: (tick, tick),
        });
    }
}
