//! A row of bars.

/// One bar a value, the lowest and the highest value at the ends of the scale: what matters is the trend. Values that do
/// not differ are a flat line.
pub(super) fn spark(values: &[f64], bars: &[char]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = high - low;
    let bar = |value: &f64| {
        let place = if span > 0.0 { (value - low) / span } else { 0.0 };
        (1..bars.len())
            .rev()
            .find(|&index| place * (bars.len() - 1) as f64 >= index as f64 - 0.5)
            .map_or(bars[0], |index| bars[index])
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::spark;

    const BARS: [char; 4] = ['_', '-', '=', '#'];

    #[test]
    fn bars_span_the_values() {
        assert_eq!(spark(&[5.0, 6.0, 7.0, 8.0], &BARS), "_-=#");
        assert_eq!(spark(&[8.0, 5.0], &BARS), "#_");
    }

    #[test]
    fn nothing_that_changes_is_flat() {
        assert_eq!(spark(&[7.0, 7.0], &BARS), "__");
        assert_eq!(spark(&[], &BARS), "");
    }
}
