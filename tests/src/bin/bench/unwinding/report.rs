//! The results as Markdown.

use std::fmt::Write as _;

use super::Samples;
use leakwatch_tests::markdown::Table;

/// One row for each program, and one for all.
pub(super) fn render(rows: &[(&str, Samples)]) -> String {
    let mut ends = Table::new([
        "program",
        "samples",
        "complete",
        "copy ended",
        "lost",
        "too deep",
        "truncated",
        "process gone",
    ]);
    let mut costs = Table::new([
        "program",
        "us a stack",
        "p99",
        "mean",
        "frames",
        "by frame pointers",
        "frames they miss",
        "caches, KiB",
        "stacks",
        "binaries",
    ]);
    for (name, samples) in rows {
        ends.row(ends_of(name, &[samples]));
        costs.row(cost_of(name, samples));
    }
    let all: Vec<_> = rows.iter().map(|(_, samples)| samples).collect();
    ends.row(ends_of("all", &all));
    let dropped: u64 = all.iter().map(|samples| samples.dropped).sum();
    let mut text = ends.render();
    let _ = write!(
        text,
        "\n{}\nSamples that came faster than they were read, and were dropped: {dropped}.\n",
        costs.render()
    );
    text
}

fn ends_of(name: &str, parts: &[&Samples]) -> Vec<String> {
    let end = |end: &str| -> u64 { parts.iter().filter_map(|samples| samples.ends.get(end)).sum() };
    let all: u64 = parts.iter().flat_map(|samples| samples.ends.values()).sum();
    let share = |count: u64| format!("{:.2} %", count as f64 * 100.0 / all.max(1) as f64);
    vec![
        name.to_owned(),
        all.to_string(),
        share(end("outermost")),
        end("copy ended").to_string(),
        end("lost").to_string(),
        end("too deep").to_string(),
        share(all - end("outermost")),
        parts.iter().map(|samples| samples.gone).sum::<u64>().to_string(),
    ]
}

fn cost_of(name: &str, samples: &Samples) -> Vec<String> {
    let times = &samples.nanoseconds;
    let mean = times.iter().sum::<u64>() as f64 / times.len().max(1) as f64;
    let microseconds = |nanoseconds: f64| format!("{:.1}", nanoseconds / 1e3);
    let complete = samples.complete.iter();
    let (whole, reached) = complete.fold((0, 0), |(whole, reached), &(frames, by_fp)| {
        (whole + frames, reached + by_fp.min(frames))
    });
    let missed = (whole - reached) as f64 * 100.0 / whole.max(1) as f64;
    vec![
        name.to_owned(),
        microseconds(quantile(times, 0.5)),
        microseconds(quantile(times, 0.99)),
        microseconds(mean),
        spread(&samples.frames),
        spread(&samples.frames_by_frame_pointers),
        format!("{missed:.1} %"),
        (samples.cache_bytes >> 10).to_string(),
        samples.stacks.to_string(),
        samples.modules.to_string(),
    ]
}

/// Median and most.
fn spread(frames: &[usize]) -> String {
    let frames: Vec<u64> = frames.iter().map(|&frames| frames as u64).collect();
    format!(
        "{:.0}, most {:.0}",
        quantile(&frames, 0.5),
        quantile(&frames, 1.0)
    )
}

/// 0 without values.
fn quantile(values: &[u64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of an index is one"
    )]
    let at = (last as f64 * share).round() as usize;
    values.get(at).map_or(0.0, |&value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [30, 10, 20];
        assert_eq!(quantile(&values, 0.5).to_bits(), 20.0_f64.to_bits());
        assert_eq!(quantile(&values, 1.0).to_bits(), 30.0_f64.to_bits());
        assert_eq!(quantile(&[], 0.5).to_bits(), 0.0_f64.to_bits());
    }
}
