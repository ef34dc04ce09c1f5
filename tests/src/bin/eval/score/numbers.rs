//! Quantiles, and how they are written.

use crate::whole::count;

/// The value that a share of them does not exceed; `None` of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    values.get(count((share * last as f64).round())).copied()
}

/// Seconds in the unit that suits them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Median and another quantile.
pub(crate) fn spread(values: &[f64], high: f64, write: impl Fn(f64) -> String) -> String {
    match (quantile(values, 0.5), quantile(values, high)) {
        (Some(middle), Some(high)) => format!("{} / {}", write(middle), write(high)),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, quantile, spread};

    #[test]
    fn quantiles_are_values_that_are_there() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(quantile(&values, 0.5), Some(3.0));
        assert_eq!(quantile(&values, 0.95), Some(5.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(spread(&[60.0, 600.0, 36_000.0], 1.0, duration), "10 min / 10.0 h");
    }
}
