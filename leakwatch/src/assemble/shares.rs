//! Estimates of samples, made to add up to what the kernel counted.

use crate::model::stack::StackId;

/// What one stack contributes to the rows of a kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) stack: Option<StackId>,
    pub(super) samples: u64,
    pub(super) born: u64,
    pub(super) bytes: u64,
    pub(super) live: Option<u64>,
    pub(super) live_bytes: Option<u64>,
    pub(super) oldest_ns: Option<u64>,
    pub(super) mean_lifetime_ns: Option<u64>,
    pub(super) p95_lifetime_ns: Option<u64>,
    pub(super) items: Vec<u64>,
}

impl Part {
    /// What was given back; everything, where it is not known what lives.
    fn died(&self) -> u64 {
        self.born.saturating_sub(self.live.unwrap_or(0))
    }
}

/// Makes the parts add up to what was counted. Samples are taken at random, so what none stands for belongs to the stacks as
/// what they stand for does; without a sample it is a part of its own. Bytes go with the things that they are of, and no
/// further: one large mapping without a sample may be most of them.
///
/// What lives and what died is shared out, not what was born, so that nowhere more lives than was born.
pub(super) fn shared(mut parts: Vec<Part>, exact: Part) -> Vec<Part> {
    let mut rest = exact;
    let estimated: Vec<(u64, Option<u64>)> = parts.iter().map(|part| (part.born, part.live)).collect();
    let mut died: Vec<u64> = parts.iter().map(Part::died).collect();
    let mut rest_died = rest.died();
    share(&mut rest_died, died.iter_mut());
    if let Some(live) = &mut rest.live {
        share(live, parts.iter_mut().filter_map(|part| part.live.as_mut()));
    }
    for (part, died) in parts.iter_mut().zip(died) {
        part.born = died + part.live.unwrap_or(0);
    }
    rest.born = rest_died + rest.live.unwrap_or(0);
    for (part, (born, live)) in parts.iter_mut().zip(estimated) {
        part.bytes = in_proportion(part.bytes, part.born, born);
        part.live_bytes = part.live_bytes.map(|bytes| match (part.live, live) {
            (Some(now), Some(before)) => in_proportion(bytes, now, before),
            _ => bytes,
        });
    }
    fit(&mut rest.bytes, parts.iter_mut().map(|part| &mut part.bytes));
    if let Some(bytes) = &mut rest.live_bytes {
        fit(
            bytes,
            parts.iter_mut().filter_map(|part| part.live_bytes.as_mut()),
        );
    }
    if rest.born > 0
        || rest.live.is_some_and(|live| live > 0)
        || rest.live_bytes.is_some_and(|bytes| bytes > 0)
    {
        parts.push(rest);
    }
    parts
}

/// Scales `estimates` to the sum `exact`, of which it leaves what cannot be shared out: all, when there is no estimate above 0.
fn share<'a>(exact: &mut u64, estimates: impl Iterator<Item = &'a mut u64>) {
    let mut estimates: Vec<&mut u64> = estimates.collect();
    let sum: u128 = estimates.iter().map(|estimate| u128::from(**estimate)).sum();
    if sum == 0 {
        return;
    }
    let whole = u128::from(*exact);
    let mut left = *exact;
    for estimate in &mut estimates {
        **estimate = u64::try_from(u128::from(**estimate) * whole / sum).unwrap_or(u64::MAX);
        left -= **estimate;
    }
    // What rounding down left over: less than one for each.
    if let Some(largest) = estimates.iter_mut().max() {
        **largest += left;
    }
    *exact = 0;
}

/// `amount * numerator / denominator`.
fn in_proportion(amount: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = (u128::from(amount) * u128::from(numerator)).checked_div(u128::from(denominator));
    scaled.map_or(amount, |scaled| u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// As [`share`], but only down.
fn fit<'a>(exact: &mut u64, estimates: impl Iterator<Item = &'a mut u64>) {
    let estimates: Vec<&mut u64> = estimates.collect();
    let sum: u64 = estimates
        .iter()
        .fold(0, |sum: u64, estimate| sum.saturating_add(**estimate));
    match exact.checked_sub(sum) {
        Some(rest) => *exact = rest,
        None => share(exact, estimates.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, StackId, fit, shared};

    fn part(stack: u32, born: u64, live: u64) -> Part {
        Part {
            stack: Some(StackId(stack)),
            born,
            live: Some(live),
            ..Part::default()
        }
    }

    fn exact(born: u64, live: u64) -> Part {
        Part {
            born,
            live: Some(live),
            ..Part::default()
        }
    }

    fn sums(parts: &[Part]) -> (u64, u64) {
        (
            parts.iter().map(|part| part.born).sum(),
            parts.iter().filter_map(|part| part.live).sum(),
        )
    }

    #[test]
    fn estimates_are_scaled_to_the_count() {
        let parts = shared(vec![part(1, 40, 4), part(2, 50, 0)], exact(100, 7));
        assert_eq!(sums(&parts), (100, 7));
        assert_eq!((parts[0].live, parts[1].live), (Some(7), Some(0)));
        assert_eq!((parts[0].born, parts[1].born), (45, 55));
        let parts = shared(vec![part(1, 400, 30), part(2, 400, 10)], exact(100, 4));
        assert_eq!(sums(&parts), (100, 4));
        assert_eq!(parts[0].live, Some(3));
    }

    #[test]
    fn bytes_go_with_what_they_are_of() {
        let mapping = |born, live, bytes, live_bytes| Part {
            stack: Some(StackId(1)),
            born,
            bytes,
            live: Some(live),
            live_bytes: Some(live_bytes),
            ..Part::default()
        };
        let parts = shared(vec![mapping(10, 10, 100, 100)], mapping(50, 50, 9_000, 9_000));
        assert_eq!((parts[0].live, parts[0].live_bytes), (Some(50), Some(500)));
        assert_eq!(parts[1].live_bytes, Some(8_500));
    }

    #[test]
    fn bytes_are_not_given_to_who_did_not_take_them() {
        let mut rest = 1_000;
        let mut estimates = [100, 50];
        fit(&mut rest, estimates.iter_mut());
        assert_eq!((rest, estimates), (850, [100, 50]));
        rest = 75;
        fit(&mut rest, estimates.iter_mut());
        assert_eq!((rest, estimates), (0, [50, 25]));
    }

    #[test]
    fn nowhere_lives_more_than_was_born() {
        let parts = shared(vec![part(1, 10, 10), part(2, 90, 1)], exact(700, 600));
        assert!(parts.iter().all(|part| part.live <= Some(part.born)), "{parts:?}");
        assert_eq!(sums(&parts), (700, 600));
    }

    #[test]
    fn what_no_sample_stands_for_is_a_row_of_its_own() {
        let parts = shared(vec![part(1, 40, 0)], exact(100, 7));
        assert_eq!(sums(&parts), (100, 7));
        let rest = parts.last().unwrap();
        assert_eq!((rest.stack, rest.born, rest.live), (None, 7, Some(7)));
        assert_eq!(shared(Vec::new(), exact(0, 0)).len(), 0);
    }
}
