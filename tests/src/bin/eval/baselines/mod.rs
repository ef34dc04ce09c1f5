//! What others do, as they state it: from monitoring rules in the field to published methods.

mod age;
mod change;
mod coroot;
mod fixed;
mod mann_kendall;
mod page_hinkley;
mod precog;
mod predict;
mod ranking;
mod resin;
mod rlimit;
mod series;

use crate::case::{Body, Case, Item};
use series::Level;

/// When a rule gives its first alarm, seconds.
type OnLevel = fn(&Level) -> Option<f64>;
type OnItems = fn(&[Item], f64) -> Option<f64>;

enum Rule {
    /// Looks at how much a process holds.
    Level(OnLevel),
    /// Looks at the things of each call site.
    Items(OnItems),
    /// Looks at the count beside its limit, at every tick.
    Count(OnLevel),
}

pub(crate) struct Baseline {
    pub name: &'static str,
    rule: Rule,
}

/// Every baseline, those on levels first.
pub(crate) const ALL: [Baseline; 11] = [
    level("fixed 80 % of the limit", fixed::first_alarm),
    level("+10 % in 30 min", change::first_alarm),
    level("predict_linear 1 h -> 4 h", predict::first_alarm),
    level("Mann-Kendall 1 h, Z > 2.58", mann_kendall::first_alarm),
    level("Coroot's rule", coroot::first_alarm),
    level("LBR/Precog", precog::first_alarm),
    level("RESIN-like, no fleet", resin::first_alarm),
    level("Page-Hinkley", page_hinkley::first_alarm),
    Baseline {
        name: "10 items older than 10 s (memleak)",
        rule: Rule::Items(age::first_alarm),
    },
    Baseline {
        name: "4 growing minutes (Chromium)",
        rule: Rule::Items(ranking::first_alarm),
    },
    Baseline {
        name: "count > 80 % of the limit",
        rule: Rule::Count(rlimit::first_alarm),
    },
];

const fn level(name: &'static str, rule: OnLevel) -> Baseline {
    Baseline {
        name,
        rule: Rule::Level(rule),
    }
}

impl Baseline {
    /// Whether it can judge a case of which only the level is known.
    pub(crate) fn needs_items(&self) -> bool {
        !matches!(self.rule, Rule::Level(_))
    }

    /// When it gives its first alarm, seconds; `level` is that of the case.
    pub(crate) fn first_alarm(&self, case: &Case, level: &[f64]) -> Option<f64> {
        let level = Level::new(level, case.tick);
        match (&self.rule, &case.body) {
            (Rule::Level(rule) | Rule::Count(rule), _) => rule(&level),
            (Rule::Items(_), Body::Curve(_)) => None,
            (Rule::Items(rule), Body::Stream(stream)) => {
                let of = |site| stream.items.iter().filter(move |item| item.site == site);
                let first = |site| rule(&of(site).copied().collect::<Vec<_>>(), case.seconds());
                [0, 1].into_iter().filter_map(first).min_by(f64::total_cmp)
            }
        }
    }
}
