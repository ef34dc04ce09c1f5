//! The levels of one process over time, in bounded memory.

use crate::model::{finding::Resource, snapshot::ProcessRow};

/// What a process holds of each of [`Resource::ALL`]: bytes of memory, else a count.
pub type Levels = [u64; Resource::ALL.len()];

/// The levels of a process at one reading.
pub fn levels(process: &ProcessRow) -> Levels {
    Resource::ALL.map(|resource| match resource {
        Resource::Memory => process.rss_anon_bytes.saturating_add(process.swap_bytes),
        Resource::Fd => process.fds.into(),
        Resource::Thread => process.threads.into(),
        Resource::Maps => process.maps.into(),
    })
}

/// Points kept at most; when there are as many, neighbours become one.
pub const MOST_POINTS: usize = 256;

/// One or more readings next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When the last of them was taken, nanoseconds since the recording began.
    pub elapsed_ns: u64,
    /// What was held then.
    pub last: Levels,
    /// The least of any of them.
    pub least: Levels,
}

/// A process's levels over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    points: Vec<Point>,
    /// Readings that a full point stands for.
    stride: u32,
    /// Readings in the last point.
    readings: u32,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            readings: 0,
        }
    }
}

impl Series {
    /// Adds a reading; times do not go back.
    pub fn add(&mut self, elapsed_ns: u64, levels: Levels) {
        if self.readings < self.stride
            && let Some(point) = self.points.last_mut()
        {
            self.readings += 1;
            *point = merged(
                *point,
                Point {
                    elapsed_ns,
                    last: levels,
                    least: levels,
                },
            );
            return;
        }
        if self.points.len() == MOST_POINTS {
            let pairs = self.points.chunks(2);
            self.points = pairs
                .map(|pair| pair[1..].iter().fold(pair[0], |a, b| merged(a, *b)))
                .collect();
            self.stride *= 2;
        }
        self.readings = 1;
        self.points.push(Point {
            elapsed_ns,
            last: levels,
            least: levels,
        });
    }

    /// Oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What it never again fell below, by point: the part that was never given back.
    pub fn floor(&self, resource: Resource) -> Vec<u64> {
        let mut least = u64::MAX;
        let mut floor: Vec<u64> = self
            .points
            .iter()
            .rev()
            .map(|point| {
                least = least.min(point.least[resource as usize]);
                least
            })
            .collect();
        floor.reverse();
        floor
    }
}

fn merged(earlier: Point, later: Point) -> Point {
    let mut least = earlier.least;
    for (least, later) in least.iter_mut().zip(later.least) {
        *least = later.min(*least);
    }
    Point { least, ..later }
}

#[cfg(test)]
mod tests {
    use super::{MOST_POINTS, Series};
    use crate::model::finding::Resource;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn the_floor_is_what_was_never_given_back() {
        let mut series = Series::default();
        for (at, fds) in [5, 9, 4, 8, 6, 7].into_iter().enumerate() {
            series.add(at as u64, [0, fds, 0, 0]);
        }
        assert_eq!(series.floor(Resource::Fd), [4, 4, 4, 6, 6, 7]);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_neither_the_least_nor_the_last_is_lost(
            readings in prop::collection::vec(any::<u64>(), 1..3000),
        ) {
            let mut series = Series::default();
            for (at, memory) in readings.iter().enumerate() {
                series.add(at as u64, [*memory, 0, 0, 0]);
            }
            prop_assert!(series.points().len() <= MOST_POINTS);
            let least = series.points().iter().map(|point| point.least[0]).min();
            prop_assert_eq!(least, readings.iter().copied().min());
            let last = series.points().last().map(|point| (point.elapsed_ns, point.last[0]));
            prop_assert_eq!(last, readings.last().map(|memory| (readings.len() as u64 - 1, *memory)));
            prop_assert!(series.points().is_sorted_by(|a, b| a.elapsed_ns < b.elapsed_ns));
        }
    }
}
