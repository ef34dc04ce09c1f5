//! One case through leakwatch itself: what the kernel would have said goes through the stage that aggregates, and what that
//! says goes to the detector, tick by tick.

mod kernel;
mod looks;
mod process;
mod testimony;

use std::iter;

use leakwatch::{
    detect::{Detection, Judgement},
    model::{confirm::Confirm as _, finding::Verdict},
};

#[cfg(test)]
pub(crate) use self::testimony::Spell;
pub(crate) use self::testimony::{Claim, Reasons, Testimony};
use crate::whole::count;
use crate::{case::Case, draw::Draw};
use process::Simulated;

/// What leakwatch said about one case.
#[derive(Default)]
pub(crate) struct Outcome {
    /// When it first said `leaking` of a resource that does leak, or of any when none does.
    pub leaking: Option<f64>,
    /// The same of `suspected` or worse.
    pub suspected: Option<f64>,
    /// When it first said that a limit is about to be reached.
    pub exhausting: Option<f64>,
    /// Whether the site it then named first is the one that leaks; `None` when it named none.
    pub site_is_right: Option<bool>,
    /// Claims at equal distances in time.
    pub claims: Vec<Claim>,
    /// Its reasons, all the time.
    pub testimony: Testimony,
    /// Times to the limit that it gave, beside the true ones.
    pub forecasts: Vec<Forecast>,
    /// Forecasts that were due and not given.
    pub unforeseen: u32,
    /// When it was surest of a leak, and what it said then.
    pub surest: Option<(f64, Judgement)>,
}

/// A time to the limit, seconds.
pub(crate) struct Forecast {
    pub low: f64,
    /// `None` where it said that it may never come.
    pub high: Option<f64>,
    pub actual: f64,
}

/// Shares of the time from the onset to the limit at which forecasts are taken.
const FORECASTS_AT: [f64; 3] = [0.4, 0.6, 0.8];
/// How often it is asked how sure it is.
const CLAIMS: usize = 12;

/// Plays a case; without `probes` nobody takes the closer looks that the detector asks for.
pub(crate) fn play(case: &Case, draw: Draw, probes: bool) -> Outcome {
    let mut simulated = Simulated::new(case, draw);
    let mut detection = Detection::default();
    let mut outcome = Outcome::default();
    outcome.testimony.tick = case.tick;
    for tick in 1..=case.ticks {
        simulated.advance(tick);
        let moment = simulated.moment();
        detection.update(moment, iter::once(simulated.observed()));
        if probes {
            for wish in detection.wishes().to_vec() {
                if let Some(confirmation) = simulated.confirm(moment.monotonic_ns, &wish) {
                    detection.confirmed(moment.monotonic_ns, &confirmation);
                }
            }
        }
        outcome.take(case, tick, &detection.judgements());
    }
    outcome
}

impl Outcome {
    fn take(&mut self, case: &Case, tick: usize, judgements: &[Judgement]) {
        let now = tick as f64 * case.tick;
        let about = |judgement: &&Judgement| case.leak.is_none() || case.thing.moves(judgement.resource);
        let worst = judgements.iter().find(about);
        let leaks = case.leak.is_some_and(|leak| leak.onset <= now);
        for judgement in judgements {
            self.testimony.take(tick, judgement, about(&judgement), leaks);
        }
        for judgement in judgements.iter().filter(about) {
            if judgement.verdict == Verdict::Leaking && self.leaking.is_none() {
                self.leaking = Some(now);
                self.site_is_right = judgement
                    .sites
                    .first()
                    .map(|&(_, stack)| stack == process::LEAKING_STACK);
            }
            if judgement.verdict >= Verdict::Suspected {
                self.suspected.get_or_insert(now);
            }
            if judgement.exhausting {
                self.exhausting.get_or_insert(now);
            }
        }
        if let Some(worst) = judgements.first()
            && self
                .surest
                .as_ref()
                .is_none_or(|(_, surest)| surest.confidence < worst.confidence)
        {
            self.surest = Some((now, worst.clone()));
        }
        // An alarm about what does not leak is a false one, whatever else does.
        let beside = judgements.iter().find(|judgement| !about(judgement));
        if beside.is_some_and(|judgement| judgement.verdict == Verdict::Leaking) && self.leaking.is_none() {
            self.leaking = Some(f64::NEG_INFINITY);
        }
        if tick.is_multiple_of((case.ticks / CLAIMS).max(1))
            && let Some(worst) = worst
        {
            let leaks = leaks && case.leaked(now) > 0.0;
            self.claims.push(Claim::of(worst, leaks));
        }
        self.forecast(case, tick, judgements);
    }

    fn forecast(&mut self, case: &Case, tick: usize, judgements: &[Judgement]) {
        let Some(leak) = case.leak.filter(|_| case.exhausts) else {
            return;
        };
        let life = case.seconds() - leak.onset;
        let due = |share: f64| count((leak.onset + share * life) / case.tick) == tick;
        // A shorter one is over before a slope has an interval.
        if life < 60.0 || !FORECASTS_AT.into_iter().any(due) {
            return;
        }
        let of = |judgement: &&Judgement| judgement.resource == case.thing.resource();
        match judgements
            .iter()
            .find(of)
            .and_then(|judgement| judgement.seconds_to_limit)
        {
            None => self.unforeseen += 1,
            Some(span) => self.forecasts.push(Forecast {
                low: span.low,
                high: span.high,
                actual: case.seconds() - tick as f64 * case.tick,
            }),
        }
    }
}
