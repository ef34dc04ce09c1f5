//! How fast a level rises, and when it reaches a limit.
//!
//! The rate is that of the floor, the headroom is to the ceiling: with the floor for both, the interval held the truth in
//! half of the cases instead of in 95 of 100.

use super::{
    bank::{BUCKETS, Bank, Point, SCALES},
    slope::{Slope, sen},
};
use crate::model::{
    finding::{Estimate, Limit, Resource, Span},
    snapshot::LimitUse,
};

/// The bounds of one slope are too narrow, because minima of one window are not independent.
const WIDER: f64 = 1.3;
/// Scales whose slopes are put together, the longest that there are.
const LONGEST: usize = 3;
/// How far back the ceiling reaches, seconds.
const CEILING: f64 = 1_800.0;
/// A limit is reached soon within so many seconds, when so much of it is used.
const SOON: f64 = 600.0;
const HALF_USED: f64 = 0.5;
/// The same when nearly all is used.
const VERY_SOON: f64 = 300.0;
const NEARLY_USED: f64 = 0.9;

/// Where a level is going.
#[derive(Clone, Debug, Default)]
pub(super) struct Forecast {
    /// Per second; `None` while it is not known.
    pub(super) rate: Option<Estimate>,
    /// The limit that is reached first, or is nearest when none is.
    pub(super) limit: Option<Limit>,
    /// When, seconds from now; `None` when the level does not rise.
    pub(super) reached: Option<Span>,
    /// Soon, whatever the reason.
    pub(super) exhausting: bool,
}

impl Forecast {
    /// `climbing` is for how many seconds it has been climbing.
    pub(super) fn of(
        bank: &Bank,
        now_ns: u64,
        climbing: Option<f64>,
        level: u64,
        limits: &[LimitUse],
        resource: Resource,
    ) -> Self {
        let rate = rate(bank, now_ns, climbing);
        let above = bank.ceiling(now_ns, CEILING).saturating_sub(level);
        let limits = limits
            .iter()
            .filter(|limit| limit.resource == resource && limit.limit.value > 0);
        let reached = limits.map(|limit| {
            let limit = &limit.limit;
            let peak = limit.in_use.saturating_add(above);
            let headroom = limit.value.saturating_sub(peak) as f64;
            let low = rate
                .filter(|rate| rate.high > 0.0)
                .map(|rate| headroom / rate.high);
            (limit, headroom, low)
        });
        // The first to be reached; of those that are not, the one with the least part left.
        let first = reached.min_by(|(a, _, a_low), (b, _, b_low)| {
            let left = |limit: &Limit| 1.0 - limit.in_use as f64 / limit.value as f64;
            a_low
                .unwrap_or(f64::INFINITY)
                .total_cmp(&b_low.unwrap_or(f64::INFINITY))
                .then_with(|| left(a).total_cmp(&left(b)))
                .then_with(|| a.name.cmp(&b.name))
        });
        let Some((limit, headroom, low)) = first else {
            return Self {
                rate,
                ..Self::default()
            };
        };
        let reached = rate
            .zip(low)
            .filter(|(rate, _)| rate.value > 0.0)
            .map(|(rate, low)| Span {
                low,
                high: (rate.low > 0.0).then(|| headroom / rate.low),
            });
        let used = limit.in_use as f64 / limit.value as f64;
        let latest = reached.and_then(|span| span.high);
        let exhausting = latest.is_some_and(|seconds| seconds < SOON) && used > HALF_USED
            || used > NEARLY_USED
                && rate.is_some_and(|rate| rate.value > 0.0 && headroom / rate.value < VERY_SOON);
        Self {
            rate,
            limit: Some(limit.clone()),
            reached,
            exhausting,
        }
    }
}

/// The hull of the slopes at the longest scales, as far as they do not reach back before the climb.
fn rate(bank: &Bank, now_ns: u64, climbing: Option<f64>) -> Option<Estimate> {
    let now = bank.seconds(now_ns);
    let since = climbing.map_or(f64::NEG_INFINITY, |seconds| now - seconds * 1.05);
    let windows = (0..SCALES).rev().filter_map(|scale| bank.window(scale));
    let mut slopes: Vec<Slope> = windows
        .filter(|window| window[0].at >= since)
        .take(LONGEST - 1)
        .filter_map(|window| sen(&window))
        .collect();
    // Since it began, in sixteen points; and for the first seconds whatever there is.
    let history = bank.history(0);
    let climb: Vec<Point> = history.into_iter().filter(|point| point.at >= since).collect();
    slopes.extend(sen(&thinned(&climb)));
    let middle = slopes.first()?.median;
    let low = slopes.iter().map(|slope| slope.low).fold(f64::INFINITY, f64::min);
    let high = slopes
        .iter()
        .map(|slope| slope.high)
        .fold(f64::NEG_INFINITY, f64::max);
    let wider = |bound: f64, outwards: f64| {
        if bound > 0.0 {
            bound * outwards
        } else {
            bound / outwards
        }
    };
    Some(Estimate {
        value: middle,
        low: wider(low, 1.0 / WIDER),
        high: wider(high, WIDER),
    })
}

/// About sixteen points at even distances in time.
fn thinned(points: &[Point]) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let distance = (last.at - first.at) / BUCKETS as f64;
    let mut next = first.at;
    let mut kept = Vec::with_capacity(BUCKETS + 1);
    for point in points {
        if point.at >= next {
            kept.push(*point);
            next = point.at + distance;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn limit(name: &str, value: u64, in_use: u64) -> LimitUse {
        LimitUse {
            resource: Resource::Fd,
            limit: Limit {
                name: name.into(),
                value,
                in_use,
            },
        }
    }

    fn forecast(seconds: u64, level: impl Fn(u64) -> u64, limits: &dyn Fn(u64) -> Vec<LimitUse>) -> Forecast {
        let mut bank = Bank::still(level(0), 0, 0);
        for second in 1..=seconds {
            bank.add(second * SECOND_NS, level(second), 0.0);
        }
        let last = level(seconds);
        Forecast::of(
            &bank,
            seconds * SECOND_NS,
            None,
            last,
            &limits(last),
            Resource::Fd,
        )
    }

    #[test]
    fn a_line_reaches_the_tightest_limit_in_time() {
        let limits = |used| {
            vec![
                limit("fs.nr_open", 1 << 20, used),
                limit("RLIMIT_NOFILE", 4_096, used),
            ]
        };
        let forecast = forecast(2_000, |second| 100 + second, &limits);
        assert_eq!(&*forecast.limit.unwrap().name, "RLIMIT_NOFILE");
        let rate = forecast.rate.unwrap();
        assert!(rate.low <= 1.0 && 1.0 <= rate.high, "{rate:?}");
        let (reached, truth) = (forecast.reached.unwrap(), 1_996.0);
        assert!(
            reached.low <= truth && truth <= reached.high.unwrap(),
            "{reached:?}"
        );
        assert!(!forecast.exhausting);
    }

    #[test]
    fn what_is_nearly_reached_is_exhausting() {
        let limits = |used| vec![limit("RLIMIT_NOFILE", 1_024, used)];
        assert!(forecast(800, |second| 100 + second, &limits).exhausting);
        assert!(
            !forecast(300, |second| 100 + second, &limits).exhausting,
            "a third is used"
        );
    }

    #[test]
    fn what_does_not_rise_reaches_nothing() {
        let limits = |used| vec![limit("RLIMIT_NOFILE", 1_024, used)];
        let forecast = forecast(500, |second| 900 + second % 2, &limits);
        assert_eq!(forecast.reached, None);
        assert!(!forecast.exhausting);
    }

    #[test]
    fn the_headroom_is_to_the_ceiling() {
        let limits = |used| vec![limit("RLIMIT_NOFILE", 10_000, used)];
        let spiky = |second: u64| 1_000 + second + if second.is_multiple_of(16) { 4_000 } else { 0 };
        let reached = forecast(1_001, spiky, &limits).reached.unwrap();
        assert!(reached.low < 4_500.0, "{reached:?}");
    }
}
