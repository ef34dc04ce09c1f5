//! Slopes of a few points that outliers do not move (Theil and Sen).

use super::bank::Point;

/// The median of the slopes between all pairs, and the bounds that hold the true one in 95 of 100 cases; per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// The slope of a series; `None` of fewer than four points.
pub(super) fn sen(points: &[Point]) -> Option<Slope> {
    let count = points.len();
    if count < 4 {
        return None;
    }
    let mut slopes = Vec::with_capacity(count * (count - 1) / 2);
    for (index, later) in points.iter().enumerate() {
        for earlier in &points[..index] {
            let seconds = later.at - earlier.at;
            if seconds > 0.0 {
                slopes.push((later.floor - earlier.floor) / seconds);
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    // Variance of Kendall's S; the bounds are order statistics that many standard deviations from the middle.
    let n = count as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let rank = |rank: f64| slopes[index(rank, slopes.len())];
    Some(Slope {
        low: rank(f64::midpoint(pairs, -1.96 * deviation)),
        median: rank(pairs / 2.0),
        high: rank(f64::midpoint(pairs, 1.96 * deviation)),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what there is"
)]
fn index(rank: f64, len: usize) -> usize {
    (rank.max(0.0) as usize).min(len - 1)
}

/// Pairs that rise less pairs that fall (Kendall's S).
pub(super) fn kendall(points: &[Point]) -> i32 {
    let mut sum = 0;
    for (index, later) in points.iter().enumerate() {
        for earlier in &points[..index] {
            sum += match later.floor.total_cmp(&earlier.floor) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Less => -1,
            };
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(floors: impl Iterator<Item = f64>) -> Vec<Point> {
        let point = |(at, floor): (usize, f64)| Point {
            at: at as f64,
            floor,
            load: 0.0,
        };
        floors.enumerate().map(point).collect()
    }

    #[test]
    fn a_line_has_one_slope() {
        let slope = sen(&points((0..16).map(|at| 5.0 + 2.0 * f64::from(at)))).unwrap();
        for bound in [slope.low, slope.median, slope.high] {
            assert!((bound - 2.0).abs() < 1e-9, "{slope:?}");
        }
        assert_eq!(sen(&points([1.0, 2.0].into_iter())), None);
    }

    #[test]
    fn one_jump_widens_the_bounds_and_leaves_the_median() {
        let jump = |at: i32| if at == 9 { 500.0 } else { f64::from(at) };
        let slope = sen(&points((0..16).map(jump))).unwrap();
        assert!((slope.median - 1.0).abs() < 0.2, "{slope:?}");
        assert!(slope.low <= 1.0 && slope.high >= 1.0, "{slope:?}");
    }

    #[test]
    fn sixteen_rising_points_score_120() {
        assert_eq!(kendall(&points((0..16).map(f64::from))), 120);
        assert_eq!(kendall(&points((0..16).map(|_| 1.0))), 0);
    }
}
