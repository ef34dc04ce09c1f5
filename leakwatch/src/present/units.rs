//! Amounts as people read them: `12.3 MiB`, `+1.20 MiB/m`, `3h12m`.

const BINARY: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

/// Bytes in the largest binary unit that keeps the number at 1 or more; at most eight characters.
pub fn bytes(amount: u64) -> String {
    signless_bytes(amount as f64)
}

/// A rate of bytes as growth per minute, always signed.
pub fn bytes_per_minute(bytes_per_second: f64) -> String {
    let per_minute = settle(bytes_per_second * 60.0, 0.5);
    format!("{}{}/m", sign(per_minute), signless_bytes(per_minute.abs()))
}

/// A rate of things as growth per minute, always signed.
pub fn count_per_minute(per_second: f64) -> String {
    let per_minute = settle(per_second * 60.0, 0.05);
    let amount = per_minute.abs();
    let digits = if amount < 999.95 {
        format!("{amount:.1}")
    } else {
        scaled(amount, 1000.0, &DECIMAL)
    };
    format!("{}{digits}/m", sign(per_minute))
}

/// A count; from a million on in decimal units (`1.05M`), so that a limit of 2^30 descriptors fits a column.
pub fn count(amount: u64) -> String {
    if amount < 1_000_000 {
        amount.to_string()
    } else {
        scaled(amount as f64, 1000.0, &DECIMAL)
    }
}

/// A length of time in its two largest units.
pub fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match nanoseconds {
        0..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{:.1}us", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", nanoseconds as f64 / 1e6),
        _ if seconds < 60 => format!("{:.1}s", (nanoseconds / 100_000_000) as f64 / 10.0),
        _ if seconds < 3600 => format!("{minutes}m{:02}s", seconds % 60),
        _ if days == 0 => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

fn signless_bytes(amount: f64) -> String {
    if amount < 1023.5 {
        format!("{amount:.0} B")
    } else {
        let text = scaled(amount, 1024.0, &BINARY);
        let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        format!("{} {}", &text[..unit], &text[unit..])
    }
}

/// Three significant digits where the unit allows, and never a number that rounds up to `step`.
fn scaled(amount: f64, step: f64, units: &[&str]) -> String {
    let mut value = amount / step;
    let mut index = 0;
    while value >= step - 0.5 && index + 1 < units.len() {
        value /= step;
        index += 1;
    }
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{}", units[index])
}

/// What would be shown as zero is zero, so that `-0` is never shown. A rate that is not finite cannot be one.
fn settle(value: f64, smallest: f64) -> f64 {
    if value.is_finite() && value.abs() >= smallest {
        value
    } else {
        0.0
    }
}

fn sign(value: f64) -> &'static str {
    if value < 0.0 { "-" } else { "+" }
}

#[cfg(test)]
mod tests {
    use super::{bytes, bytes_per_minute, count, count_per_minute, duration};
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn bytes_step_to_the_next_unit_before_four_digits_round_up() {
        let shown: Vec<_> = [0, 1023, 1024, 10_239, 1_048_575, 1_048_576, 100 << 20, u64::MAX]
            .map(bytes)
            .into();
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.00 KiB", "10.0 KiB", "1.00 MiB", "1.00 MiB", "100 MiB", "16.0 EiB"
            ]
        );
    }

    #[test]
    fn rates_are_signed_and_per_minute() {
        assert_eq!(bytes_per_minute(20_971.52), "+1.20 MiB/m");
        assert_eq!(bytes_per_minute(-1024.0), "-60.0 KiB/m");
        assert_eq!(count_per_minute(3.1), "+186.0/m");
        assert_eq!(count_per_minute(-0.0001), "+0.0/m");
        assert_eq!(count_per_minute(1000.0), "+60.0k/m");
    }

    #[test]
    fn large_counts_are_short() {
        assert_eq!(count(999_999), "999999");
        assert_eq!(count(1_048_576), "1.05M");
        assert_eq!(count(1_073_741_816), "1.07G");
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(duration(999), "999ns");
        assert_eq!(duration(59_999_999_999), "59.9s");
        assert_eq!(duration(61_000_000_000), "1m01s");
        assert_eq!(duration(3_600_000_000_000), "1h00m");
        assert_eq!(duration(200_000_000_000_000), "2d07h");
    }

    proptest! {
        #[test]
        fn every_amount_fits_its_column(amount in any::<u64>(), rate in any::<f64>()) {
            prop_assert!(bytes(amount).len() <= 8);
            prop_assert!(count(amount).len() <= 6);
            let rate = rate % 1e15;
            prop_assert!(bytes_per_minute(rate).len() <= 11);
            prop_assert!(count_per_minute(rate).len() <= 9);
        }
    }
}
