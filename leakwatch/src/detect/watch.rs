//! One resource of one subject: its detectors, what they say together, and where it stands.

use super::{
    accusation::{Accusation, Outcome},
    bank::{Bank, NOW},
    census::Books,
    classify::{self, class},
    evidence::{self, Case, Reason, Stand, Witness, probability},
    exhaustion::Forecast,
    floor::{Floor, Stakes},
    gain::Gain,
    judgement::Judgement,
    looks::Looks,
    past::Past,
    remember::Remembered,
    subject::SubjectKey,
    survey::Survey,
    survival::{Survival, Survivals},
    verdict::{Facts, Standing},
    witnesses::FIRST_CYCLE,
};
use crate::model::{
    confirm::{Confirmation, Wish},
    finding::{Class, Evidence, Resource, Verdict},
    identity::ProcessId,
    snapshot::LimitUse,
};
use leakwatch_common::kind::Kind;

/// A process younger than this, seconds, has only just started.
const YOUNG: f64 = 120.0;
/// So much of a limit that is overdue is too much to wait for.
const PRESSING: f64 = 0.12;
/// After a loss of deaths nothing is decided for so long, or until a look at the sites of which none was lost.
const FROZEN_NS: u64 = 10_000_000_000;
/// A forecast is made every 4 s; every second for a process watched shorter than this, seconds.
const FRESHLY_WATCHED: f64 = 60.0;
/// Sites in a judgement.
const MAX_SITES: usize = 8;
/// Half of a limit used: its end is worth a forecast even when nothing grows.
const HALF: u64 = 2;

/// What one tick says of one resource.
pub(super) struct Tick<'a> {
    pub(super) now_ns: u64,
    pub(super) unix_ms: u64,
    pub(super) resource: Resource,
    /// Of the process, seconds.
    pub(super) age: f64,
    /// Seconds.
    pub(super) watched: f64,
    pub(super) level: u64,
    /// Births a second.
    pub(super) load: f32,
    pub(super) limits: &'a [LimitUse],
    pub(super) survey: Option<&'a Survey<'a>>,
    pub(super) books: Option<&'a Books>,
    pub(super) blind: bool,
}

/// The detectors of one level that has moved, and their verdict.
#[derive(Debug)]
pub(super) struct Watch {
    bank: Bank,
    floor: Floor,
    survivals: Survivals,
    looks: Looks,
    forecast: Forecast,
    standing: Standing,
    accused: Option<Accusation>,
    past: Past,
    frozen_until_ns: u64,
    level: u64,
    log_odds: f64,
    evidence: Vec<Evidence>,
    class: Option<Class>,
    kind: Option<Kind>,
}

impl Watch {
    /// Of a level that stood at `level` since `since_ns`.
    pub(super) fn new(level: u64, since_ns: u64, now_ns: u64) -> Self {
        Self {
            bank: Bank::still(level, since_ns, now_ns),
            floor: Floor::default(),
            survivals: Survivals::default(),
            looks: Looks::default(),
            forecast: Forecast::default(),
            standing: Standing::default(),
            accused: None,
            past: Past::default(),
            frozen_until_ns: 0,
            level,
            log_odds: f64::NEG_INFINITY,
            evidence: Vec::new(),
            class: None,
            kind: None,
        }
    }

    /// Goes on where the verdict before a restart was.
    pub(super) fn restore(&mut self, now_ns: u64, verdict: Remembered) {
        self.standing = Standing::restored(verdict.verdict, verdict.since_unix_ms, now_ns);
        self.log_odds = evidence::log_odds(verdict.confidence);
        self.past.restore(now_ns, verdict);
        self.accused = Some(Accusation::from_before(self.level));
    }

    /// An earlier process of the same program leaked this.
    pub(super) fn was_seen_before(&mut self) {
        self.past.was_seen_before();
    }

    /// Takes one tick into account.
    pub(super) fn update(&mut self, tick: &Tick<'_>) {
        self.level = tick.level;
        let closed = self.bank.add(tick.now_ns, tick.level, tick.load);
        let limit = self.forecast.limit.as_ref();
        let headroom = limit.map(|limit| limit.value.saturating_sub(limit.in_use));
        let stakes = Stakes::new(tick.resource, limit.map(|limit| limit.value), headroom);
        self.floor.update(&self.bank, closed, tick.now_ns, &stakes);
        if tick.blind {
            self.survivals.lose();
            self.frozen_until_ns = tick.now_ns + FROZEN_NS;
        } else if let Some(survey) = tick.survey
            && self.survivals.update(survey, tick.resource)
        {
            self.frozen_until_ns = tick.now_ns;
        }
        self.foresee(tick, closed);
        self.decide(tick, &stakes);
    }

    fn foresee(&mut self, tick: &Tick<'_>, closed: u32) {
        let due = closed & 1 << NOW != 0 || closed != 0 && tick.watched < FRESHLY_WATCHED;
        let first = self.forecast.limit.is_none() && closed != 0;
        if due || first {
            let climbing = self.floor.newest().map(|climb| climb.age);
            self.forecast = if self.is_rising() || first || Self::is_half_used(tick) {
                Forecast::of(
                    &self.bank,
                    tick.now_ns,
                    climbing,
                    tick.level,
                    tick.limits,
                    tick.resource,
                )
            } else {
                Forecast {
                    limit: self.forecast.limit.take(),
                    ..Forecast::default()
                }
            };
        }
        // What counts against the limit now is known at every tick.
        if let Some(limit) = &mut self.forecast.limit {
            let now = tick
                .limits
                .iter()
                .map(|of| &of.limit)
                .find(|of| of.name == limit.name);
            limit.in_use = now.map_or(limit.in_use, |now| now.in_use);
        }
    }

    fn is_half_used(tick: &Tick<'_>) -> bool {
        let mut of = tick.limits.iter().filter(|limit| limit.resource == tick.resource);
        of.any(|limit| limit.limit.in_use >= limit.limit.value / HALF)
    }

    /// Whether there is anything to decide about.
    fn is_rising(&self) -> bool {
        self.floor.growing()
            || self.survivals.found().first().is_some_and(|best| best.rising)
            || self.standing.verdict != Verdict::Healthy
            || self.floor.sustained().is_some()
    }

    /// Whether the limit of what is not memory is too near to wait for the end of a first cycle.
    fn is_pressing(&self, overdue: f64) -> bool {
        let latest = self.forecast.reached.and_then(|span| span.high);
        let limit = self.forecast.limit.as_ref();
        self.forecast.exhausting
            || latest.is_some_and(|seconds| seconds < FIRST_CYCLE)
            || limit.is_some_and(|limit| overdue > PRESSING * limit.value as f64)
    }

    fn decide(&mut self, tick: &Tick<'_>, stakes: &Stakes) {
        if !self.is_rising() {
            // Nothing to decide, nothing to say.
            self.log_odds = f64::NEG_INFINITY;
            self.evidence.clear();
            return;
        }
        let best = self.survivals.found().first().filter(|best| best.rising).cloned();
        let gain = Gain::of(
            &self.bank,
            tick.now_ns,
            tick.level,
            tick.resource,
            best.as_ref(),
            stakes,
        );
        // A program that loads its data looks like one that leaks, stale pages included, until it is done.
        let confirmed = tick.resource != Resource::Memory && self.looks.confirms(tick.now_ns);
        let young = tick.age < YOUNG && !confirmed;
        // Garbage presses too, until it is collected.
        let pressing = tick.resource != Resource::Memory
            && (self.is_pressing(gain.overdue) || self.looks.shows_more(tick.now_ns));
        let books = tick.books;
        let stand = Stand {
            now_ns: tick.now_ns,
            resource: tick.resource,
            enough: gain.enough,
            overdue: gain.overdue,
            // A process that has only begun is excused once.
            can_wait: !young && !pressing,
            is_traced: books.is_some_and(|books| books.is_traced(tick.now_ns, tick.resource)),
            time_left: self.forecast.reached.map_or(0.0, |span| span.low),
        };
        let mut case = Case::default();
        case.add(Reason::Prior, "one in a thousand leaks".to_owned());
        if young {
            case.add(Reason::Young, format!("started only {:.0} s ago", tick.age));
        }
        // Survivors and a climb are two views of one growth: the one that says more counts.
        let (mut survivors, mut climb) = (Case::default(), Case::default());
        if gain.risen {
            self.survivals.testify(&stand, &mut survivors);
        }
        self.floor.testify(&stand, &mut climb);
        case.join(if survivors.log_odds() >= climb.log_odds() {
            survivors
        } else {
            climb
        });
        let looks_like = books.and_then(|books| books.contradicts(tick.now_ns, tick.resource));
        let contrary = self.looks.contradicts(&stand) || looks_like.is_some();
        if contrary {
            self.past.take_back();
        }
        let witnesses: [&dyn Witness; 3] = [&self.looks, &self.forecast, &self.past];
        let books = books.map(|books| books as &dyn Witness);
        for witness in witnesses.into_iter().chain(books) {
            witness.testify(&stand, &mut case);
        }
        if let Some(bar) = self.standing.bar().filter(|_| !contrary) {
            let thinner = bar - case.log_odds();
            if thinner > 0.0 {
                let text = format!(
                    "found {} before, and not given back since",
                    self.standing.verdict.name()
                );
                case.add_times(Reason::Upheld, thinner, text);
            }
        }
        self.log_odds = case.log_odds();
        self.evidence = case.into_evidence();
        self.kind = best.as_ref().map(|best| best.kind).or(self.kind);
        let overdue_rising = gain.risen && gain.overdue >= stakes.quantum;
        self.stand(tick, best.as_ref(), overdue_rising, contrary);
        let climb = self.floor.newest();
        let looks = classify::Looks {
            resource: tick.resource,
            verdict: self.standing.verdict,
            age: tick.age,
            watched: tick.watched,
            frozen: tick.now_ns < self.frozen_until_ns,
            climb: climb.as_ref(),
            dried_up: self
                .survivals
                .found()
                .first()
                .is_some_and(|best| best.passed && !best.rising),
            owned: gain.risen,
        };
        let accused = self.standing.verdict >= Verdict::Suspected;
        self.class = looks_like.filter(|_| !accused).or_else(|| class(&looks));
    }

    fn stand(&mut self, tick: &Tick<'_>, best: Option<&Survival>, overdue_rising: bool, contrary: bool) {
        let outcome = self.accused.as_mut().map_or_else(Outcome::default, |accused| {
            accused.outcome(&self.bank, tick.now_ns, self.level)
        });
        let before = self.standing.verdict;
        self.standing.update(&Facts {
            now_ns: tick.now_ns,
            unix_ms: tick.unix_ms,
            log_odds: self.log_odds,
            growing: self.floor.growing() || overdue_rising,
            quiet: outcome.quiet,
            climb: outcome.span,
            released: outcome.released,
            frozen: tick.now_ns < self.frozen_until_ns,
            contrary,
        });
        let verdict = self.standing.verdict;
        if verdict == before {
            return;
        }
        match verdict {
            Verdict::Suspected | Verdict::Leaking if before < Verdict::Suspected => {
                let climb = self.floor.sustained();
                self.accused = Some(Accusation::of(&self.bank, tick.now_ns, best, climb.as_ref()));
            }
            Verdict::Healthy | Verdict::Growing => self.accused = None,
            _ => {}
        }
    }

    /// What is wanted to be looked at.
    pub(super) fn wish(
        &mut self,
        now_ns: u64,
        process: ProcessId,
        resource: Resource,
    ) -> Option<(f64, Wish)> {
        let best = self.survivals.found().first().filter(|best| best.promising)?;
        let (evidence, kind) = (best.log_evidence, best.kind);
        let overdue = self.survivals.overdue();
        let wish = self
            .looks
            .wish(now_ns, process, resource, Some((kind, overdue)))?;
        Some((evidence, wish.clone()))
    }

    /// The answer to a wish.
    pub(super) fn confirmed(&mut self, now_ns: u64, confirmation: &Confirmation) {
        self.looks.answer(now_ns, confirmation);
    }

    /// Where it stands.
    pub(super) fn verdict(&self) -> Verdict {
        self.standing.verdict
    }

    /// What is worth remembering, if anything.
    pub(super) fn remembered(&self, subject: &SubjectKey, resource: Resource) -> Option<Remembered> {
        let verdict = self.standing.verdict;
        let matters = matches!(
            verdict,
            Verdict::Suspected | Verdict::Leaking | Verdict::Recovered
        );
        matters.then(|| Remembered {
            subject: subject.clone(),
            program: None,
            resource,
            kind: self.kind_name(resource),
            verdict,
            confidence: probability(self.log_odds),
            since_unix_ms: self.standing.since_unix_ms,
            last_unix_ms: 0,
        })
    }

    /// In all its details.
    pub(super) fn judgement(&self, subject: &SubjectKey, resource: Resource) -> Judgement {
        let sites = self.survivals.found().iter();
        let sites = sites.filter_map(|found| found.stack.map(|stack| (found.kind, stack)));
        Judgement {
            subject: subject.clone(),
            process: subject.process(),
            resource,
            kind: self.kind_name(resource),
            verdict: self.standing.verdict,
            class: self.class,
            confidence: probability(self.log_odds),
            rate: self.forecast.rate,
            in_use: self.level,
            limit: self.forecast.limit.clone(),
            seconds_to_limit: self.forecast.reached,
            exhausting: self.forecast.exhausting,
            since_unix_ms: self.standing.since_unix_ms,
            evidence: self.evidence.clone(),
            sites: sites.take(MAX_SITES).collect(),
        }
    }

    /// Whether its limit is near.
    pub(super) fn is_exhausting(&self) -> bool {
        self.forecast.exhausting
    }

    fn kind_name(&self, resource: Resource) -> String {
        let name = match (resource, self.kind) {
            (Resource::Memory, Some(Kind::Mapping)) => "mapping",
            (Resource::Memory, Some(_)) => "heap",
            (Resource::Fd, Some(kind)) => kind.name(),
            (resource, _) => resource.name(),
        };
        name.to_owned()
    }
}
