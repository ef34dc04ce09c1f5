//! How good a detector is at telling leaks from the rest.

mod base_rate;
pub(crate) mod bootstrap;
pub(crate) mod calibration;
pub(crate) mod numbers;

pub(crate) use self::base_rate::share_of_leaks;

use crate::{
    case::{Pace, Thing},
    families::{Group, Truth},
    replay::Outcome,
};

const DAY: f64 = 86_400.0;

/// One case and what every detector made of it.
pub(crate) struct Judged {
    /// Which family, by index.
    pub family: usize,
    /// Which case of it.
    pub number: u64,
    pub truth: Truth,
    pub group: Group,
    pub thing: Thing,
    pub pace: Option<Pace>,
    pub onset: f64,
    pub seconds: f64,
    /// First alarm of each baseline; `None` of one that cannot judge such a case.
    pub baselines: Vec<Option<Alarm>>,
    pub leakwatch: Outcome,
    pub without_probes: Outcome,
    /// Lost when leakwatch said `leaking`: things or bytes, and as a share of the limit.
    pub lost: Option<(f64, f64)>,
}

/// When a detector gave its first alarm; `None` when it gave none.
pub(crate) type Alarm = Option<f64>;

impl Judged {
    pub(crate) fn is_leaky(&self) -> bool {
        self.truth == Truth::Leaky
    }

    /// Seconds from the onset to an alarm that is right; `None` for none and for one before there was a leak.
    pub(crate) fn delay(&self, alarm: Alarm) -> Option<f64> {
        let delay = alarm? - self.onset;
        (self.is_leaky() && delay >= 0.0).then_some(delay)
    }

    /// Days without a leak.
    fn healthy_days(&self) -> f64 {
        let seconds = if self.is_leaky() { self.onset } else { self.seconds };
        seconds / DAY
    }
}

/// Alarms, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Leaks found, after they began.
    pub found: f64,
    /// Leaks not found.
    pub missed: f64,
    /// Alarms where there was no leak, or not yet.
    pub false_alarms: f64,
    /// Days watched without a leak.
    pub healthy_days: f64,
}

impl Tally {
    pub(crate) fn add(&mut self, judged: &Judged, alarm: Alarm) {
        self.healthy_days += judged.healthy_days();
        if judged.delay(alarm).is_some() {
            self.found += 1.0;
            return;
        }
        if alarm.is_some() {
            self.false_alarms += 1.0;
        }
        if judged.is_leaky() {
            self.missed += 1.0;
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            missed: self.missed + other.missed,
            false_alarms: self.false_alarms + other.false_alarms,
            healthy_days: self.healthy_days + other.healthy_days,
        }
    }

    pub(crate) fn precision(&self) -> f64 {
        share(self.found, self.false_alarms)
    }

    pub(crate) fn recall(&self) -> f64 {
        share(self.found, self.missed)
    }

    pub(crate) fn f1(&self) -> f64 {
        share(self.found, f64::midpoint(self.false_alarms, self.missed))
    }

    pub(crate) fn false_alarms_per_day(&self) -> f64 {
        self.false_alarms / self.healthy_days.max(f64::MIN_POSITIVE)
    }
}

/// `part` of `part` and `rest`; 0 of nothing.
fn share(part: f64, rest: f64) -> f64 {
    if part + rest > 0.0 {
        part / (part + rest)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn ratios_of_counts() {
        let tally = Tally {
            found: 8.0,
            missed: 2.0,
            false_alarms: 4.0,
            healthy_days: 40.0,
        };
        assert!((tally.precision() - 8.0 / 12.0).abs() < 1e-12);
        assert!((tally.recall() - 0.8).abs() < 1e-12);
        let f1 = 2.0 * tally.precision() * tally.recall() / (tally.precision() + tally.recall());
        assert!((tally.f1() - f1).abs() < 1e-12);
        assert!((tally.false_alarms_per_day() - 0.1).abs() < 1e-12);
        assert!(Tally::default().f1().abs() < 1e-12);
    }
}
