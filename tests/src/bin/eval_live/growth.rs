//! How fast a program really grows, by `/proc`.

use leakwatch::model::finding::Resource;

use crate::program::Held;

/// Growth of its floor between the middle and the last third of what was read, per second; `None` when that is too
/// little to say.
pub(crate) fn per_second(held: &[Held], resource: Resource) -> Option<f64> {
    let third = held.len() / 3;
    let (middle, last) = (
        held.get(third..2 * third)?,
        held.get(held.len().checked_sub(third)?..)?,
    );
    let floor = |part: &[Held]| part.iter().map(|held| held.of(resource)).min();
    let seconds = last.first()?.at.checked_sub(middle.first()?.at)?.as_secs_f64();
    Some((floor(last)? as f64 - floor(middle)? as f64) / seconds)
}

/// Whether the two forms of a program are a pair: one grows, and the other, under the same load, does not.
pub(crate) fn is_pair(leaky: f64, fixed: f64) -> bool {
    leaky > 0.0 && fixed < 0.25 * leaky
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leakwatch::model::finding::Resource;

    use super::{is_pair, per_second};
    use crate::program::Held;

    fn held(of: impl Fn(u64) -> u64) -> Vec<Held> {
        (0..12)
            .map(|index| Held::threads_at(Duration::from_secs(10 * index), of(index)))
            .collect()
    }

    #[test]
    fn a_line_grows_at_its_slope_and_a_saw_tooth_does_not() {
        let line = per_second(&held(|index| 20 * index), Resource::Thread);
        assert!((line.expect("enough readings") - 2.0).abs() < 1e-9);
        let saw = per_second(&held(|index| index % 4), Resource::Thread);
        assert!(saw.expect("enough readings").abs() < 1e-9);
        assert_eq!(per_second(&held(|index| index)[..2], Resource::Thread), None);
    }

    #[test]
    fn a_pair_differs() {
        assert!(is_pair(10.0, 0.1));
        assert!(is_pair(10.0, -3.0));
        assert!(!is_pair(10.0, 4.0));
        assert!(!is_pair(0.0, 0.0));
    }
}
