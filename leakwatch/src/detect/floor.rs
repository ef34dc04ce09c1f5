//! Does the floor of a level keep rising, and does nothing but a leak explain it?
//!
//! A program that works takes and gives back; what it never gives back shows in the minima of its level. Each window of
//! sixteen minima is looked at when it has a new one: a straight climb passes, and everything that is known to climb and is no
//! leak has a veto. From the level alone no fill of a cache can be told from a leak before it ends, so a pass takes an hour
//! and is not enough by itself for a while.

use super::{
    bank::{Bank, Point, SCALES},
    slope::kendall,
};
use crate::model::finding::Resource;

/// Of at most 120: about four standard deviations of sixteen points in random order.
const KENDALL: i32 = 90;
/// The most that the floor may fall within a window, as a part of what it gains.
const DRAWDOWN: f64 = 0.10;
/// The most of the gain that one step may be.
const STEP: f64 = 0.35;
/// The climb began where the older half of twice the look-back grew by less than this part of the rate.
const BACK: f64 = 0.2;
/// The last third climbs at least at this part of the rate of the middle third. Logarithms do at 0.58.
const THIRDS: f64 = 0.85;
/// What was gained is more than this many times of what was ever released.
const RELEASE: f64 = 1.25;
/// Correlation with the work done, and how much that varies for what the floor does, from which on work explains it.
const LOAD_CORRELATION: f64 = 0.8;
const LOAD_SWING: f64 = 0.5;
/// A climb counts from that age on, seconds, in windows at least so long.
const ONSET_AGE: f64 = 3_600.0;
const WINDOW: f64 = 900.0;
/// What takes longer to reach its limit is no news, seconds.
const FARTHEST: f64 = 2.0 * 86_400.0;
/// Half-overlapping windows that have to pass.
const PASSES: f64 = 3.0;

/// How long a growth of so many a second is watched before it is called overdue, seconds.
const PATIENCE: [(f64, f64); 3] = [(8.0, 0.0), (0.8, 110.0), (0.0, 600.0)];
/// Bytes of memory that weigh as much as one of anything else.
const MEMORY_PACE: f64 = 400.0 * 1024.0;

/// Buckets among which new floors are counted, and how many of them have to be new highs.
const RECENT: usize = 8;
const NEW_HIGHS: usize = 6;
/// Scales that say `growing`: 16 s and up; 4 s while nothing is known of longer ones.
const GROWING_SCALE: usize = 2;

/// Why a climb is no sign of a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Veto {
    /// Most of it came at once.
    Step,
    /// As much has been given back before.
    Release,
    /// Ever slower.
    Decelerates,
    /// It follows how much work is done.
    FollowsLoad,
}

/// A climb in the newest window of one scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    /// Which scale.
    pub(super) scale: usize,
    /// How long the window is, seconds.
    pub(super) span: f64,
    /// For how long, seconds.
    pub(super) age: f64,
    /// What it gained since it began.
    pub(super) gained: f64,
    /// Gained a second over its last third.
    pub(super) rate: f64,
    /// Last third against the middle third.
    pub(super) thirds: f64,
    /// What explains it.
    pub(super) veto: Option<Veto>,
}

/// The floor detector of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor {
    runs: [Option<Run>; SCALES],
    growing: bool,
    newest: Option<Climb>,
}

/// Windows of one scale that passed, one after the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: f64,
    last: f64,
    climb: Climb,
}

/// What is against a level: how much of a gain matters, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stakes {
    /// Gains below are noise.
    pub(super) quantum: f64,
    /// Gains below are no leak worth a verdict.
    pub(super) matters: f64,
    /// So much overdue is no accident.
    pub(super) overdue: f64,
    /// What is left to the tightest limit.
    pub(super) headroom: Option<f64>,
    /// A tenth of the tightest limit.
    tenth: f64,
}

impl Stakes {
    /// `limit` is the tightest.
    pub(super) fn new(resource: Resource, limit: Option<u64>, headroom: Option<u64>) -> Self {
        let (quantum, matters) = match resource {
            Resource::Memory => (16_u64 << 20, 48_u64 << 20),
            Resource::Fd | Resource::Maps => (64, 128),
            Resource::Thread => (8, 128),
        };
        // Of a small limit a small part matters.
        let part = |most: u64, parts: u64| limit.map_or(most, |limit| most.min(limit / parts)).max(1) as f64;
        Self {
            quantum: part(quantum, 16),
            matters: part(matters, 20),
            overdue: match resource {
                Resource::Memory => part(matters, 20),
                Resource::Fd | Resource::Thread | Resource::Maps => part(matters, 10).max(32.0),
            },
            headroom: headroom.map(|left| left as f64),
            tenth: limit.map_or(f64::INFINITY, |limit| limit as f64 / 10.0),
        }
    }
}

impl Stakes {
    /// How much overdue is no accident at this rate, a second. Programs gather things and give them back at once: who grows
    /// slowly and is far from the limit is given the time to show it.
    pub(super) fn enough(&self, resource: Resource, rate: f64) -> f64 {
        let pace = match resource {
            Resource::Memory => rate / MEMORY_PACE,
            Resource::Fd | Resource::Thread | Resource::Maps => rate,
        };
        let patience = PATIENCE.iter().find(|(least, _)| pace >= *least);
        let patience = patience.map_or(0.0, |(_, seconds)| *seconds);
        self.overdue.max((rate * patience).min(self.tenth))
    }
}

impl Floor {
    /// Looks at the windows that have a new bucket.
    pub(super) fn update(&mut self, bank: &Bank, closed: u32, now_ns: u64, stakes: &Stakes) {
        if closed == 0 {
            return;
        }
        let now = bank.seconds(now_ns);
        let mut looked = false;
        for scale in 0..SCALES {
            if closed & 1 << scale == 0 {
                continue;
            }
            looked |= scale > 0;
            let Some(window) = bank.window(scale) else {
                continue;
            };
            let climb = climb(bank, scale, &window, stakes);
            if self.newest.is_none_or(|newest| newest.scale <= scale) {
                self.newest = climb;
            }
            self.follow(
                scale,
                now,
                window[window.len() - 1].at - window[0].at,
                climb,
                stakes,
            );
        }
        if looked {
            self.growing = grows(bank, stakes);
        }
    }

    fn follow(&mut self, scale: usize, now: f64, span: f64, climb: Option<Climb>, stakes: &Stakes) {
        let run = &mut self.runs[scale];
        let passes = climb.filter(|climb| {
            let reached = stakes.headroom.map(|left| left / climb.rate);
            climb.veto.is_none()
                && climb.age >= ONSET_AGE
                && span >= WINDOW
                && climb.gained >= stakes.matters
                && reached.is_none_or(|seconds| seconds <= FARTHEST)
        });
        match (passes, &mut *run) {
            (Some(climb), Some(run)) if now - run.last <= span => {
                run.last = now;
                run.climb = climb;
            }
            (Some(climb), _) => {
                *run = Some(Run {
                    first: now,
                    last: now,
                    climb,
                });
            }
            // One window that does not pass ends nothing; a window's worth of them does.
            (None, Some(before)) if now - before.last > span => *run = None,
            (None, _) => {}
        }
    }

    /// Whether its floor keeps reaching new highs.
    pub(super) fn growing(&self) -> bool {
        self.growing
    }

    /// The longest climb that has passed long enough.
    pub(super) fn sustained(&self) -> Option<Climb> {
        let held = |run: &&Run| run.last - run.first >= run.climb.span / 2.0 * (PASSES - 1.0);
        let longest = self.runs.iter().flatten().filter(held);
        let climb = longest.max_by(|a, b| a.climb.age.total_cmp(&b.climb.age));
        climb.map(|run| run.climb)
    }

    /// The newest climb of the coarsest scale that has one, whether it passes or not.
    pub(super) fn newest(&self) -> Option<Climb> {
        self.newest
    }
}

/// New highs in most of the last floors, and a quantum gained that was never released.
fn grows(bank: &Bank, stakes: &Stakes) -> bool {
    let recent = |scale: usize| {
        let floors = bank.recent(scale, RECENT);
        let (Some(first), Some(last)) = (floors.first(), floors.last()) else {
            return false;
        };
        let mut highest = first.floor;
        let mut new_highs = 0;
        for point in &floors[1..] {
            if point.floor > highest {
                highest = point.floor;
                new_highs += 1;
            }
        }
        let gained = last.floor - first.floor;
        new_highs >= NEW_HIGHS && gained >= stakes.quantum && gained >= RELEASE * bank.release(scale) as f64
    };
    let young = bank.len(GROWING_SCALE) < RECENT;
    let finest = if young { GROWING_SCALE - 1 } else { GROWING_SCALE };
    (finest..SCALES).any(recent)
}

fn climb(bank: &Bank, scale: usize, window: &[Point], stakes: &Stakes) -> Option<Climb> {
    let (first, last) = (window.first()?, window.last()?);
    let gain = last.floor - first.floor;
    let span = last.at - first.at;
    if gain < stakes.quantum / 4.0 || span <= 0.0 || kendall(window) < KENDALL {
        return None;
    }
    let mut highest = first.floor;
    let mut drawdown: f64 = 0.0;
    for point in window {
        highest = highest.max(point.floor);
        drawdown = drawdown.max(highest - point.floor);
    }
    if drawdown > DRAWDOWN * gain {
        return None;
    }
    let history = bank.history(scale);
    let onset = onset(&history, span, gain / span);
    let age = last.at - onset;
    let at = |at: f64| floor_at(&history, at);
    let gained = last.floor - at(onset);
    let third = age / 3.0;
    let last_third = (last.floor - at(last.at - third)) / third;
    let middle = (at(last.at - third) - at(last.at - 2.0 * third)) / third;
    let thirds = if middle > 0.0 {
        last_third / middle
    } else {
        f64::INFINITY
    };
    let step = window.windows(2).map(|pair| pair[1].floor - pair[0].floor);
    let veto = if step.fold(0.0, f64::max) > STEP * gain {
        Some(Veto::Step)
    } else if follows_load(window, gain) {
        Some(Veto::FollowsLoad)
    } else if gained < RELEASE * bank.release(scale) as f64 {
        Some(Veto::Release)
    } else if thirds < THIRDS || last_third <= 0.0 {
        Some(Veto::Decelerates)
    } else {
        None
    };
    Some(Climb {
        scale,
        span,
        age,
        gained,
        rate: last_third,
        thirds,
        veto,
    })
}

/// When the climb began: the look-back doubles until its older half hardly grew.
fn onset(history: &[Point], span: f64, rate: f64) -> f64 {
    let (Some(first), Some(last)) = (history.first(), history.last()) else {
        return 0.0;
    };
    let mut width = span;
    let mut end = last.at;
    loop {
        let middle = end - width;
        if middle - width < first.at {
            return first.at;
        }
        let older = floor_at(history, middle) - floor_at(history, middle - width);
        if older / width < BACK * rate {
            return middle;
        }
        end = middle;
        width *= 2.0;
    }
}

/// The floor at a time, by the line between its neighbours.
pub(super) fn floor_at(history: &[Point], at: f64) -> f64 {
    let after = history.partition_point(|point| point.at <= at);
    match (
        after.checked_sub(1).and_then(|index| history.get(index)),
        history.get(after),
    ) {
        (Some(before), Some(next)) => {
            let part = (at - before.at) / (next.at - before.at);
            before.floor + part * (next.floor - before.floor)
        }
        (Some(only), None) | (None, Some(only)) => only.floor,
        (None, None) => 0.0,
    }
}

fn follows_load(window: &[Point], gain: f64) -> bool {
    let count = window.len() as f64;
    let mean = |of: fn(&Point) -> f64| window.iter().map(of).sum::<f64>() / count;
    let (floor, load) = (mean(|point| point.floor), mean(|point| point.load));
    if load <= 0.0 || floor <= 0.0 {
        return false;
    }
    let (mut both, mut floors, mut loads) = (0.0, 0.0, 0.0);
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for point in window {
        let (by_floor, by_load) = (point.floor - floor, point.load - load);
        both += by_floor * by_load;
        floors += by_floor * by_floor;
        loads += by_load * by_load;
        least = least.min(point.load);
        most = most.max(point.load);
    }
    let correlation = both / (floors * loads).sqrt().max(f64::MIN_POSITIVE);
    let swing = (most - least) / load / (gain / floor);
    correlation >= LOAD_CORRELATION && swing >= LOAD_SWING
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// After so many readings, one a second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "levels of a test are small and positive"
    )]
    fn after(seconds: u64, level: impl Fn(f64) -> f64) -> Floor {
        let stakes = Stakes::new(Resource::Fd, Some(65_536), Some(60_000));
        let mut bank = Bank::still(level(0.0) as u64, 0, 0);
        let mut floor = Floor::default();
        for second in 1..=seconds {
            let now_ns = second * SECOND_NS;
            let closed = bank.add(now_ns, level(second as f64) as u64, 1.0);
            floor.update(&bank, closed, now_ns, &stakes);
        }
        floor
    }

    const HOURS: u64 = 3_600;

    #[test]
    fn a_steady_climb_grows_and_is_sustained_after_an_hour() {
        let leak = |second: f64| 100.0 + second;
        assert!(after(600, leak).growing());
        assert!(after(HOURS / 2, leak).sustained().is_none());
        let climb = after(2 * HOURS, leak).sustained().unwrap();
        assert!((climb.rate - 1.0).abs() < 0.05, "{climb:?}");
        assert!(climb.age > 6_000.0, "{climb:?}");
    }

    #[test]
    fn a_climb_under_churn_grows() {
        assert!(after(600, |second| 100.0 + second + 300.0 * (second % 2.0)).growing());
    }

    #[test]
    fn a_saw_tooth_does_not() {
        let saw = |second: f64| 100.0 + second % 60.0 * 20.0;
        assert!(!after(600, saw).growing());
        assert!(after(3 * HOURS, saw).sustained().is_none());
    }

    #[test]
    fn a_slow_saw_tooth_is_not_sustained_once_it_has_fallen() {
        let floor = after(5 * HOURS, |second| 100.0 + second % 6_000.0);
        assert!(floor.sustained().is_none());
    }

    #[test]
    fn a_step_does_not_grow() {
        let step = |second: f64| if second < 540.0 { 100.0 } else { 5_000.0 };
        assert!(!after(600, step).growing());
    }

    #[test]
    fn a_climb_below_the_quantum_does_not_grow() {
        assert!(!after(600, |second| 100.0 + second / 20.0).growing());
    }

    #[test]
    fn a_logarithm_decelerates() {
        let floor = after(3 * HOURS, |second| 100.0 + 5_000.0 * (1.0 + second / 600.0).ln());
        assert!(floor.sustained().is_none());
        assert_eq!(floor.newest().unwrap().veto, Some(Veto::Decelerates));
    }

    #[test]
    fn a_leak_that_begins_late_has_its_own_onset() {
        let floor = after(4 * HOURS, |second| 1_000.0 + (second - 7_200.0).max(0.0));
        let climb = floor.sustained().unwrap();
        assert!((5_000.0..9_500.0).contains(&climb.age), "{climb:?}");
    }
}
