//! Values over time at evenly spaced rungs: sixteen at the most, over whatever time has passed.
//!
//! A rung keeps the least of what was read while it was the newest. When there are too many, two become one, and rungs are
//! twice as far apart from then on.

/// Rungs kept.
const RUNGS: usize = 16;
/// How far apart they are at first, nanoseconds.
const APART_NS: u64 = 5_000_000_000;

/// A climb has this part of its steps upwards.
const UPWARDS: f64 = 0.85;
/// It is steady with so many steps, over so many seconds, whose last third rises at least at this part of its mean rate.
const LEAST_STEPS: usize = 5;
const LEAST_SECONDS: f64 = 60.0;
const STILL: f64 = 0.5;

/// When the rungs were, and what the process held then.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    apart_ns: u64,
    at_ns: Vec<u64>,
    memory: Rungs,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            apart_ns: APART_NS,
            at_ns: Vec::with_capacity(RUNGS),
            memory: Rungs::new(0),
        }
    }
}

/// What becomes of the rungs when a census comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It belongs to the newest.
    Same,
    /// There is a new one.
    New,
    /// Two have become one, and there is a new one.
    Halved,
}

impl Moments {
    /// A census at `at_ns`, when the process held so many bytes.
    pub(super) fn step(&mut self, at_ns: u64, memory: u64) -> Step {
        let step = match self.at_ns.last() {
            Some(last_ns) if at_ns.saturating_sub(*last_ns) < self.apart_ns => Step::Same,
            _ if self.at_ns.len() == RUNGS => Step::Halved,
            _ => Step::New,
        };
        if step == Step::Halved {
            self.at_ns = self.at_ns.iter().step_by(2).copied().collect();
            self.apart_ns = self.apart_ns.saturating_mul(2);
        }
        if step != Step::Same {
            self.at_ns.push(at_ns);
        }
        self.memory.step(step);
        self.memory.set(Some(memory));
        step
    }

    /// How many there are, the newest included.
    pub(super) fn rungs(&self) -> usize {
        self.at_ns.len()
    }

    /// How the process's memory climbs.
    pub(super) fn climb(&self) -> Option<Climb> {
        self.memory.climb(self)
    }

    /// What its memory gained since a rung, bytes.
    pub(super) fn gained_since(&self, rung: usize) -> Option<f64> {
        self.memory.gained_since(rung)
    }

    fn seconds(&self, from: usize, to: usize) -> f64 {
        self.at_ns[to].saturating_sub(self.at_ns[from]) as f64 / 1e9
    }
}

/// One value at each rung; `None` where it was not known.
#[derive(Clone, Debug)]
pub(super) struct Rungs {
    values: Vec<Option<u64>>,
}

/// The longest time up to now over which a value rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Climb {
    /// The rung at which it begins.
    pub(super) from: usize,
    /// Steps of it, and those that were upwards.
    pub(super) steps: usize,
    pub(super) upwards: usize,
    /// How long it is.
    pub(super) seconds: f64,
    pub(super) gained: f64,
    /// Long enough, and not about to end.
    pub(super) is_steady: bool,
}

impl Rungs {
    /// What one takes on the heap at the most.
    #[cfg(test)]
    pub(super) const MOST_BYTES: usize = RUNGS * size_of::<Option<u64>>();

    /// Not known at the rungs so far, of which there are so many.
    pub(super) fn new(rungs: usize) -> Self {
        let mut values = Vec::with_capacity(RUNGS);
        values.resize(rungs.min(RUNGS), None);
        Self { values }
    }

    /// Follows the [`Moments`].
    pub(super) fn step(&mut self, step: Step) {
        if step == Step::Halved {
            let least = |pair: &[Option<u64>]| pair.iter().copied().flatten().min();
            let halved: Vec<Option<u64>> = self.values.chunks(2).map(least).collect();
            self.values.clear();
            self.values.extend(halved);
        }
        if step != Step::Same {
            self.values.push(None);
        }
    }

    /// The value at the newest rung, if it is known.
    pub(super) fn set(&mut self, value: Option<u64>) {
        if let (Some(newest), Some(value)) = (self.values.last_mut(), value) {
            *newest = Some(newest.map_or(value, |least| least.min(value)));
        }
    }

    /// What is known of the newest rung.
    pub(super) fn last(&self) -> Option<u64> {
        self.values.last().copied().flatten()
    }

    /// The last value less the first; negative when it fell, 0 when that is not known.
    pub(super) fn gained(&self) -> f64 {
        let first = self.values.iter().flatten().next();
        let last = self.values.iter().flatten().next_back();
        first
            .zip(last)
            .map_or(0.0, |(first, last)| *last as f64 - *first as f64)
    }

    /// The same from one rung on; `None` when it is not known then or now.
    pub(super) fn gained_since(&self, rung: usize) -> Option<f64> {
        let first = self.values.get(rung).copied().flatten()?;
        Some(self.last()? as f64 - first as f64)
    }

    /// How it climbs now; `None` when it does not, or is not known.
    pub(super) fn climb(&self, moments: &Moments) -> Option<Climb> {
        self.last()?;
        let known: Vec<(usize, u64)> = self
            .values
            .iter()
            .enumerate()
            .filter_map(|(rung, value)| Some((rung, (*value)?)))
            .collect();
        let (last, now) = *known.last()?;
        let mut best = None;
        let (mut steps, mut upwards) = (0, 0);
        for pair in known.windows(2).rev() {
            let is_up = pair[0].1 < pair[1].1;
            steps += 1;
            upwards += usize::from(is_up);
            let climbs = upwards as f64 >= UPWARDS * steps as f64;
            if is_up && climbs && pair[0].1 < now {
                best = Some((pair[0].0, pair[0].1, steps, upwards));
            }
        }
        let (from, first, steps, upwards) = best?;
        let seconds = moments.seconds(from, last);
        let gained = now as f64 - first as f64;
        let third = known
            .iter()
            .rev()
            .find(|(rung, _)| moments.seconds(*rung, last) * 3.0 >= seconds)?;
        let lately = moments.seconds(third.0, last);
        let still = (now as f64 - third.1 as f64) / lately.max(1.0);
        Some(Climb {
            from,
            steps,
            upwards,
            seconds,
            gained,
            is_steady: steps >= LEAST_STEPS
                && seconds >= LEAST_SECONDS
                && still >= STILL * gained / seconds.max(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks 15 seconds apart.
    fn series(values: impl IntoIterator<Item = u64>) -> (Moments, Rungs) {
        let mut moments = Moments::default();
        let mut rungs = Rungs::new(0);
        for (index, value) in values.into_iter().enumerate() {
            let step = moments.step((index as u64 + 1) * 15_000_000_000, value);
            rungs.step(step);
            rungs.set(Some(value));
        }
        (moments, rungs)
    }

    fn climb(values: impl IntoIterator<Item = u64>) -> Option<Climb> {
        let (moments, rungs) = series(values);
        rungs.climb(&moments)
    }

    #[test]
    fn what_rises_at_every_look_climbs_steadily_however_long_it_does() {
        for looks in [6, 16, 17, 100, 1_000] {
            let climb = climb((0..looks).map(|look| 100 + 10 * look)).unwrap();
            assert!(climb.is_steady, "{looks}: {climb:?}");
            assert!(
                (climb.gained / climb.seconds - 10.0 / 15.0).abs() < 0.1,
                "{climb:?}"
            );
        }
    }

    #[test]
    fn what_levels_off_or_goes_up_and_down_does_not() {
        let filling = climb((0..16).map(|look| 1_000 - 1_000 / (1 << look)));
        assert!(filling.is_none_or(|climb| !climb.is_steady), "{filling:?}");
        let full = climb((0..16).map(|look| (look * 10).min(60)));
        assert!(full.is_none_or(|climb| !climb.is_steady), "{full:?}");
        let teeth = climb((0..64).map(|look| 100 + look % 4 * 50));
        assert!(teeth.is_none_or(|climb| !climb.is_steady), "{teeth:?}");
    }

    #[test]
    fn a_climb_begins_where_it_began() {
        let climb = climb((0..15_u64).map(|look| 50 + look.saturating_sub(8))).unwrap();
        assert_eq!((climb.from, climb.steps), (8, 6));
        assert!(climb.is_steady);
    }

    #[test]
    fn two_looks_are_no_trend() {
        assert!(climb([1]).is_none());
        assert!(climb([1, 9]).is_some_and(|climb| !climb.is_steady));
    }
}
