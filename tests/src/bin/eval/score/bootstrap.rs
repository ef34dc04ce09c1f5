//! How far a number would move with other families: they, not cases, are drawn again, because cases of one family are alike.

use super::{Tally, numbers::quantile};
use crate::draw::Draw;

const ROUNDS: usize = 1_000;

/// The interval that 95 of 100 draws of families give; `healthy` and `leaky` have one tally for each.
pub(crate) fn interval(
    healthy: &[Tally],
    leaky: &[Tally],
    number: impl Fn(&Tally) -> f64,
) -> Option<(f64, f64)> {
    let mut draw = Draw::new(0, 0, 0);
    let mut drawn = |families: &[Tally]| {
        let one = |_| families[draw.below(families.len())];
        (0..families.len()).map(one).fold(Tally::default(), Tally::plus)
    };
    let values: Vec<f64> = (0..ROUNDS)
        .map(|_| number(&drawn(healthy).plus(drawn(leaky))))
        .collect();
    Some((quantile(&values, 0.025)?, quantile(&values, 0.975)?))
}

#[cfg(test)]
mod tests {
    use super::interval;
    use crate::score::Tally;

    #[test]
    fn alike_families_have_no_spread() {
        let tally = |found, missed| Tally {
            found,
            missed,
            ..Tally::default()
        };
        let recall = |leaky: &[Tally]| interval(&[Tally::default()], leaky, Tally::recall);
        assert_eq!(recall(&[tally(4.0, 1.0); 5]), Some((0.8, 0.8)));
        let (low, high) = recall(&[tally(5.0, 0.0), tally(0.0, 5.0), tally(3.0, 2.0)]).expect("rounds");
        assert!(low < 0.3 && high > 0.8, "{low} {high}");
    }
}
