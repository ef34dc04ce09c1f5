//! What would have been said with other weights.

use leakwatch::model::finding::Resource;

use crate::{
    replay::{Reasons, Testimony},
    score::Alarm,
};

/// Log-odds from which on leakwatch says `leaking`, and ticks in a row that have to agree.
const LEAKING: f64 = 2.2;
const AGREE: usize = 2;

/// Weights of reasons, and a straight line from what they add up to, to the log-odds that are claimed.
#[derive(Clone)]
pub(super) struct Model {
    pub weights: Vec<f64>,
    pub offset: f64,
    pub times: f64,
}

impl Model {
    /// Weights whose sum is claimed as it is.
    pub(super) fn plain(weights: Vec<f64>) -> Self {
        Self {
            weights,
            offset: 0.0,
            times: 1.0,
        }
    }

    pub(super) fn log_odds(&self, reasons: &Reasons) -> f64 {
        self.offset + self.times * reasons.log_odds(&self.weights)
    }

    /// The first alarm; of a leak that is not the one there is, one before every other.
    pub(super) fn alarm(&self, testimony: &Testimony) -> Alarm {
        let mut first: Alarm = None;
        let mut agreed: Vec<(Resource, usize, usize)> = Vec::new();
        for spell in &testimony.spells {
            // Ticks in a row before this spell, by resource.
            let before = agreed
                .iter()
                .position(|&(resource, ..)| resource == spell.resource);
            let before = before.map(|index| agreed.swap_remove(index));
            if self.log_odds(&spell.reasons) < LEAKING {
                continue;
            }
            let before = before.filter(|&(_, last, _)| last + 1 == spell.ticks.0);
            let before: usize = before.map_or(0, |(_, _, ticks)| ticks);
            let ticks = before + spell.ticks.1 - spell.ticks.0 + 1;
            if before < AGREE && ticks >= AGREE {
                let tick = spell.ticks.0 + AGREE - before - 1;
                let at = if spell.about {
                    tick as f64 * testimony.tick
                } else {
                    f64::NEG_INFINITY
                };
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            agreed.push((spell.resource, spell.ticks.1, ticks));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use leakwatch::model::finding::Resource;

    use super::Model;
    use crate::replay::{Reasons, Spell, Testimony};

    fn testimony(spells: &[(f64, (usize, usize))]) -> Testimony {
        let spell = |&(times, ticks)| Spell {
            resource: Resource::Fd,
            about: true,
            reasons: Reasons(vec![(0, times)]),
            leaks: true,
            ticks,
        };
        Testimony {
            spells: spells.iter().map(spell).collect(),
            tick: 5.0,
        }
    }

    #[test]
    fn two_ticks_in_a_row_are_an_alarm() {
        let alarm = |spells: &[_]| Model::plain(vec![1.0]).alarm(&testimony(spells));
        assert_eq!(alarm(&[(3.0, (7, 9))]), Some(40.0));
        assert_eq!(alarm(&[(3.0, (7, 7)), (4.0, (8, 8))]), Some(40.0));
        assert_eq!(alarm(&[(3.0, (7, 7)), (4.0, (9, 9))]), None);
        assert_eq!(alarm(&[(3.0, (7, 7)), (1.0, (8, 8)), (3.0, (9, 9))]), None);
    }

    #[test]
    fn the_line_moves_the_bar() {
        let model = Model {
            weights: vec![1.0],
            offset: -2.0,
            times: 0.5,
        };
        assert_eq!(model.alarm(&testimony(&[(8.0, (1, 9))])), None);
        assert_eq!(model.alarm(&testimony(&[(9.0, (1, 9))])), Some(10.0));
    }
}
