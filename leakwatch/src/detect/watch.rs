//! One resource of one subject: its detectors, what they say together, and where it stands.

use super::{
    bank::Bank,
    census::Books,
    classify::{self, class},
    evidence::{Case, Reason, Stand, Witness, probability},
    exhaustion::Forecast,
    floor::{Climb, Floor, Stakes, floor_at},
    judgement::Judgement,
    looks::Looks,
    remember::Remembered,
    subject::SubjectKey,
    survival::{Survey, Survival, Survivals},
    verdict::{Facts, Standing},
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
/// What never gave anything back is given so long to do it, seconds, unless its limit is reached as soon or so much of it is
/// overdue.
const FIRST_CYCLE: f64 = 600.0;
/// Pages come and go all the time, so of memory it is not asked what was ever given back, but for how long the oldest that is
/// overdue has been held: collectors of garbage leave it for up to a quarter of an hour, seconds. Batches hold what they gathered
/// for longer, and nothing tells one from a leak before it ends: waiting costs nothing while more time is left to the limit than
/// has passed, but an hour is enough.
const COLLECTION: f64 = 900.0;
const LONG_COLLECTION: f64 = 3_600.0;
const PRESSING: f64 = 0.12;
/// After a loss of records nothing is decided for so long, or until a look at the sites of which none was lost.
const FROZEN_NS: u64 = 10_000_000_000;
/// A verdict from before a restart is kept for so long without evidence of its own.
const HELD_NS: u64 = 900_000_000_000;
/// The same as how long one has to watch, seconds: three times that without a new high end it.
const HELD_SPAN: f64 = 300.0;
/// Floors of this scale, 4 s, say what is held now.
const NOW: usize = 1;
const FLOOR_SECONDS: f64 = 4.0;
/// The level has to have risen by this part of what survives, or deaths were missed.
const RISEN: f64 = 0.5;
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
    /// What was held when it was accused, and the most since, by floors of one scale.
    accused: Option<Accused>,
    past: Past,
    frozen_until_ns: u64,
    level: u64,
    log_odds: f64,
    evidence: Vec<Evidence>,
    class: Option<Class>,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug)]
struct Accused {
    scale: usize,
    base: f64,
    peak: f64,
    /// How long one had to watch, seconds.
    span: f64,
}

/// What is known from before.
#[derive(Clone, Debug, Default)]
struct Past {
    /// The verdict on this very subject, and until when it is kept.
    kept: Option<(Remembered, u64)>,
    /// The same program leaked this before.
    seen_before: bool,
}

impl Witness for Past {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        if let Some((verdict, until_ns)) = &self.kept
            && stand.now_ns < *until_ns
        {
            let said = super::evidence::log_odds(verdict.confidence) - case.log_odds();
            if said > 0.0 {
                let text = format!("{} before leakwatch was started anew", verdict.verdict.name());
                case.add_times(Reason::Remembered, said, text);
            }
        }
        if self.seen_before {
            let text = "an earlier process of this program leaked the same".to_owned();
            case.add(Reason::SeenBefore, text);
        }
    }
}

impl Witness for Floor {
    fn testify(&self, _: &Stand, case: &mut Case) {
        let Some(climb) = self.sustained() else {
            return;
        };
        let hours = climb.age / 3_600.0;
        case.add(
            Reason::Climb,
            format!("its floor has climbed straight for {hours:.1} hours"),
        );
        let doublings = hours.log2().floor().clamp(0.0, 3.0);
        if doublings >= 1.0 {
            let text = format!("that is {doublings} times twice an hour");
            case.add_times(Reason::LongClimb, doublings, text);
        }
    }
}

impl Witness for Survivals {
    fn testify(&self, stand: &Stand, case: &mut Case) {
        let Some(best) = self.found().first().filter(|best| best.passed) else {
            return;
        };
        let text = format!(
            "{} {} older than {:.0} s are still held; {} of 8 generations have some",
            best.overdue,
            best.kind.name(),
            best.beyond_ns as f64 / 1e9,
            best.generations
        );
        case.add(Reason::Survival, text);
        if best.turns_over {
            let place = if best.stack.is_some() {
                "the same place"
            } else {
                "the same places"
            };
            let text = format!(
                "{place} gave back {} others; kept {:.1} %",
                best.closed,
                100.0 * best.share
            );
            case.add(Reason::Turnover, text);
        }
        let since = |then_ns| stand.now_ns.saturating_sub(then_ns) as f64 / 1e9;
        let (began, oldest) = (since(best.began_ns), since(best.oldest_ns));
        if best.kind == Kind::FirstTouch {
            let patience = stand.time_left.clamp(COLLECTION, LONG_COLLECTION);
            if oldest < patience && stand.can_wait {
                let text = format!("the oldest is {oldest:.0} s old and may be garbage to be collected");
                case.add(Reason::FirstCycle, text);
            }
        } else if best.closed == 0 && began < FIRST_CYCLE && stand.can_wait {
            let text = format!("it began {began:.0} s ago and may give back all at once");
            case.add(Reason::FirstCycle, text);
        }
        let enough = stand.overdue >= stand.enough;
        let amount = in_words(stand.resource, stand.overdue);
        if enough {
            case.add(Reason::Amount, format!("{amount} overdue"));
        } else {
            case.add(Reason::Few, format!("only {amount} overdue"));
        }
    }
}

impl Witness for Forecast {
    fn testify(&self, _: &Stand, case: &mut Case) {
        if self.exhausting
            && let Some(limit) = &self.limit
        {
            let used = 100.0 * limit.in_use as f64 / limit.value as f64;
            case.add(
                Reason::Exhausting,
                format!("{used:.0} % of {} is used, and rising", limit.name),
            );
        }
    }
}

fn in_words(resource: Resource, amount: f64) -> String {
    match resource {
        Resource::Memory => format!("{:.0} MiB", amount / f64::from(1 << 20)),
        Resource::Fd | Resource::Thread | Resource::Maps => format!("{amount:.0}"),
    }
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
        self.log_odds = super::evidence::log_odds(verdict.confidence);
        self.past.kept = Some((verdict, now_ns + HELD_NS));
        // What it held before that is not known, so half of everything has to be given back.
        self.accused = Some(Accused {
            scale: NOW,
            base: 0.0,
            peak: self.level as f64,
            span: HELD_SPAN,
        });
    }

    /// An earlier process of the same program leaked this.
    pub(super) fn was_seen_before(&mut self) {
        self.past.seen_before = true;
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
        let history = self.bank.history(NOW);
        let now = self.bank.seconds(tick.now_ns);
        let floor = history.last().map_or(tick.level as f64, |last| last.floor);
        let best = self.survivals.found().first().filter(|best| best.rising);
        let since = best.map(|best| now - tick.now_ns.saturating_sub(best.since_ns) as f64 / 1e9);
        let rise = since.map(|since| (floor - floor_at(&history, since)).max(0.0));
        let risen = best.zip(rise).is_some_and(|(best, rise)| match tick.resource {
            Resource::Memory => rise >= stakes.quantum,
            _ => rise >= RISEN * best.held as f64,
        });
        let overdue = best.map_or(0.0, |best| {
            let oldest = now - tick.now_ns.saturating_sub(best.oldest_ns) as f64 / 1e9;
            let gained = (floor - floor_at(&history, oldest)).max(0.0);
            match tick.resource {
                // Of pages it is known how many they are, and not of how many bytes each stands for.
                Resource::Memory => gained,
                _ => gained.min(best.overdue as f64),
            }
        });
        let enough = since.zip(rise).map_or(stakes.overdue, |(since, rise)| {
            // The newest floor is some seconds old, and what was gained was gained until then.
            let until = history.last().map_or(now, |last| last.at);
            stakes.enough(tick.resource, rise / (until - since).max(FLOOR_SECONDS))
        });
        // A program that loads its data looks like one that leaks, stale pages included, until it is done.
        let confirmed = tick.resource != Resource::Memory && self.looks.confirms(tick.now_ns);
        let young = tick.age < YOUNG && !confirmed;
        // Garbage presses too, until it is collected.
        let pressing = tick.resource != Resource::Memory
            && (self.is_pressing(overdue) || self.looks.shows_more(tick.now_ns));
        let stand = Stand {
            now_ns: tick.now_ns,
            resource: tick.resource,
            enough,
            overdue,
            // A process that has only begun is excused once.
            can_wait: !young && !pressing,
            time_left: self.forecast.reached.map_or(0.0, |span| span.low),
        };
        let mut case = Case::default();
        case.add(Reason::Prior, "one in a thousand leaks".to_owned());
        if young {
            case.add(Reason::Young, format!("started only {:.0} s ago", tick.age));
        }
        // Survivors and a climb are two views of one growth: the one that says more counts.
        let (mut survivors, mut climb) = (Case::default(), Case::default());
        if risen {
            self.survivals.testify(&stand, &mut survivors);
        }
        self.floor.testify(&stand, &mut climb);
        case.join(if survivors.log_odds() >= climb.log_odds() {
            survivors
        } else {
            climb
        });
        let looks_like = tick
            .books
            .and_then(|books| books.contradicts(tick.now_ns, tick.resource));
        let contrary = self.looks.contradicts(tick.now_ns) || looks_like.is_some();
        if contrary {
            self.past.kept = None;
        }
        let witnesses: [&dyn Witness; 3] = [&self.looks, &self.forecast, &self.past];
        let books = tick.books.map(|books| books as &dyn Witness);
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
        let rising = risen && best.is_some();
        self.kind = best.map(|best| best.kind).or(self.kind);
        let best = best.cloned();
        self.stand(tick, best.as_ref(), rising && overdue >= stakes.quantum, contrary);
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
            owned: rising,
        };
        let accused = self.standing.verdict >= Verdict::Suspected;
        self.class = looks_like.filter(|_| !accused).or_else(|| class(&looks));
    }

    fn stand(&mut self, tick: &Tick<'_>, best: Option<&Survival>, overdue_rising: bool, contrary: bool) {
        let floor_now = |scale: usize| {
            let recent = self.bank.recent(scale, 1);
            recent.first().map_or(self.level as f64, |point| point.floor)
        };
        let mut released = false;
        let mut quiet = 0.0;
        let mut span = 0.0;
        if let Some(accused) = &mut self.accused {
            let now = floor_now(accused.scale);
            accused.peak = accused.peak.max(now);
            released = accused.peak > accused.base && now <= f64::midpoint(accused.base, accused.peak);
            span = accused.span;
            quiet = self.bank.stalled(accused.scale.max(NOW), tick.now_ns);
        }
        let before = self.standing.verdict;
        self.standing.update(&Facts {
            now_ns: tick.now_ns,
            unix_ms: tick.unix_ms,
            log_odds: self.log_odds,
            growing: self.floor.growing() || overdue_rising,
            quiet,
            climb: span,
            released,
            frozen: tick.now_ns < self.frozen_until_ns,
            contrary,
        });
        let verdict = self.standing.verdict;
        if verdict == before {
            return;
        }
        match verdict {
            Verdict::Suspected | Verdict::Leaking if before < Verdict::Suspected => {
                self.accused = Some(self.accusation(tick, best));
            }
            Verdict::Healthy | Verdict::Growing => self.accused = None,
            _ => {}
        }
    }

    fn accusation(&self, tick: &Tick<'_>, best: Option<&Survival>) -> Accused {
        let now = self.bank.seconds(tick.now_ns);
        let climb: Option<Climb> = self.floor.sustained();
        let (scale, since, span) = match (best, climb) {
            (Some(best), _) => {
                let seconds = tick.now_ns.saturating_sub(best.since_ns) as f64 / 1e9;
                (NOW, now - seconds, 0.0)
            }
            (None, Some(climb)) => (climb.scale, now - climb.age, climb.span),
            (None, None) => (NOW, now, 0.0),
        };
        let base = floor_at(&self.bank.history(scale), since);
        Accused {
            scale,
            base,
            peak: base,
            span,
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
