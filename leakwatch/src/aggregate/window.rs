//! The recent past of one process: enough to say how fast something grows, in bounded memory.

/// Readings kept.
pub const READINGS: usize = 16;
/// Time between two kept readings: 16 of them span a minute.
pub const SPACING_NS: u64 = 4_000_000_000;

/// The amounts of which the past is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Resident anonymous memory and swap, bytes.
    pub memory: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
}

impl Amounts {
    /// Resident anonymous memory and swap, bytes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Open descriptors.
    pub fn fds(&self) -> u64 {
        self.fds
    }

    /// Threads.
    pub fn threads(&self) -> u64 {
        self.threads
    }
}

/// Readings of the last minute, and always the newest.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Oldest first; spaced by [`SPACING_NS`], the newest excepted.
    readings: Vec<(u64, Amounts)>,
}

impl Window {
    /// Adds what was read at `time_ns` (any monotonic clock; earlier than the newest is ignored).
    pub fn push(&mut self, time_ns: u64, amounts: Amounts) {
        match self.readings[..] {
            [.., (newest, _)] if time_ns <= newest => return,
            // The newest is kept only when it is far enough from the one before it.
            [.., (kept, _), (newest, _)] if newest - kept < SPACING_NS => {
                self.readings.pop();
            }
            _ => {}
        }
        if self.readings.len() == READINGS {
            self.readings.remove(0);
        }
        self.readings.push((time_ns, amounts));
    }

    /// Median of the slopes between all pairs of readings (Theil-Sen), units per second; `None` before there are two.
    ///
    /// One jump or dip among steady readings does not move it.
    pub fn slope(&self, of: fn(&Amounts) -> u64) -> Option<f64> {
        if self.readings.len() < 2 {
            return None;
        }
        let first = of(&self.readings[0].1);
        if self.readings.iter().all(|(_, amounts)| of(amounts) == first) {
            return Some(0.0);
        }
        let mut slopes = Vec::with_capacity(READINGS * (READINGS - 1) / 2);
        for (index, (later, amounts)) in self.readings.iter().enumerate() {
            for (earlier, before) in &self.readings[..index] {
                let seconds = (later - earlier) as f64 / 1e9;
                slopes.push((of(amounts) as f64 - of(before) as f64) / seconds);
            }
        }
        let (middle, odd) = (slopes.len() / 2, slopes.len() % 2 == 1);
        let (below, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        if odd {
            return Some(*median);
        }
        let below = below.iter().copied().max_by(f64::total_cmp).unwrap_or(*median);
        Some(f64::midpoint(below, *median))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, proptest};

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn fds(fds: u64) -> Amounts {
        Amounts {
            fds,
            ..Amounts::default()
        }
    }

    #[test]
    fn two_readings_give_their_slope() {
        let mut window = Window::default();
        assert_eq!(window.slope(|amounts| amounts.fds), None);
        window.push(SECOND_NS, fds(10));
        assert_eq!(window.slope(|amounts| amounts.fds), None);
        window.push(3 * SECOND_NS, fds(14));
        assert_eq!(window.slope(|amounts| amounts.fds), Some(2.0));
    }

    #[test]
    fn a_single_spike_does_not_move_the_slope() {
        let mut window = Window::default();
        for second in 1..=60 {
            window.push(
                second * SECOND_NS,
                fds(if second == 30 { 10_000 } else { 100 + second }),
            );
        }
        let slope = window.slope(|amounts| amounts.fds).unwrap();
        assert!((slope - 1.0).abs() < 0.05, "{slope}");
    }

    #[test]
    fn spans_a_minute_and_holds_the_newest() {
        let mut window = Window::default();
        for second in 1..=300 {
            window.push(second * SECOND_NS, fds(second));
        }
        assert_eq!(window.readings.len(), READINGS);
        assert_eq!(window.readings[READINGS - 1].0, 300 * SECOND_NS);
        let span = window.readings[READINGS - 1].0 - window.readings[0].0;
        assert!((50 * SECOND_NS..=60 * SECOND_NS).contains(&span), "{span}");
    }

    proptest! {
        #[test]
        fn any_readings_give_a_finite_slope(readings in prop::collection::vec((0_u64..u64::MAX / 2, 0_u64..u64::MAX), 0..50)) {
            let mut window = Window::default();
            for (time_ns, memory) in readings {
                window.push(time_ns, Amounts { memory, ..Amounts::default() });
            }
            assert!(window.readings.len() <= READINGS);
            assert!(window.slope(|amounts| amounts.memory).is_none_or(f64::is_finite));
        }
    }
}
