//! The past of one level at every scale of time, in bounded memory.
//!
//! Buckets of 1 s, 4 s, 16 s and so on, sixteen of each: windows from 16 seconds to three days. A bucket keeps its
//! minimum, because what a program never gives back shows in the minima, and its maximum, because that is what hits a limit.

use std::collections::VecDeque;

/// Scales; bucket widths are `4^scale` seconds.
pub(super) const SCALES: usize = 8;
/// Buckets of each scale.
pub(super) const BUCKETS: usize = 16;
/// Floors of this scale say what is held now, and its width, seconds.
pub(super) const NOW: usize = 1;
pub(super) const NOW_SECONDS: f64 = 4.0;

const SECOND_NS: u64 = 1_000_000_000;

/// The past of one level.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    began_ns: u64,
    scales: [Scale; SCALES],
}

/// Buckets of one width.
#[derive(Clone, Debug, Default)]
pub(super) struct Scale {
    /// Full ones, oldest first.
    buckets: VecDeque<Bucket>,
    open: Option<Open>,
    /// Highest floor so far.
    highest: u64,
    /// The most that the floor ever fell from its highest.
    release: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the minimum was last seen, tenths of a second since the bank began.
    at: u32,
    /// Work done a second.
    load: f32,
    min: u64,
    max: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    number: u64,
    bucket: Bucket,
    readings: u32,
}

/// A floor and when it was touched, seconds since the bank began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at: f64,
    pub(super) floor: f64,
    pub(super) load: f64,
}

impl Bank {
    /// A level that stood at `value` since `since_ns`.
    pub(super) fn still(value: u64, since_ns: u64, now_ns: u64) -> Self {
        let mut bank = Self {
            began_ns: since_ns,
            scales: Default::default(),
        };
        let seconds = now_ns.saturating_sub(since_ns) / SECOND_NS;
        for scale in 0..SCALES {
            let width = width(scale);
            let full = (seconds / width).min(BUCKETS as u64);
            let last = since_ns / SECOND_NS / width + seconds / width;
            for number in last - full..last {
                let at = ((number + 1) * width * SECOND_NS).min(now_ns);
                let bucket = bank.bucket(at, value, 0.0);
                bank.scales[scale].buckets.push_back(bucket);
            }
            bank.scales[scale].highest = value;
        }
        bank
    }

    /// Takes a reading; says which scales have a new full bucket, as bits.
    pub(super) fn add(&mut self, now_ns: u64, value: u64, load: f32) -> u32 {
        let reading = self.bucket(now_ns, value, load);
        let mut closed = 0;
        for (scale, buckets) in self.scales.iter_mut().enumerate() {
            if buckets.add(now_ns / (SECOND_NS * width(scale)), reading) {
                closed |= 1 << scale;
            }
        }
        closed
    }

    fn bucket(&self, now_ns: u64, value: u64, load: f32) -> Bucket {
        let tenths = now_ns.saturating_sub(self.began_ns) / (SECOND_NS / 10);
        Bucket {
            at: u32::try_from(tenths).unwrap_or(u32::MAX),
            load,
            min: value,
            max: value,
        }
    }

    /// Seconds since the bank began.
    pub(super) fn seconds(&self, now_ns: u64) -> f64 {
        now_ns.saturating_sub(self.began_ns) as f64 / SECOND_NS as f64
    }

    /// The sixteen floors of a scale, oldest first; `None` before there are so many.
    pub(super) fn window(&self, scale: usize) -> Option<Vec<Point>> {
        let buckets = &self.scales[scale].buckets;
        (buckets.len() == BUCKETS).then(|| buckets.iter().map(Bucket::point).collect())
    }

    /// The last `count` floors of a scale, oldest first; none before there are so many.
    pub(super) fn recent(&self, scale: usize, count: usize) -> Vec<Point> {
        let scale = &self.scales[scale];
        if scale.buckets.len() < count {
            return Vec::new();
        }
        let skipped = scale.buckets.len() - count;
        scale.buckets.iter().skip(skipped).map(Bucket::point).collect()
    }

    /// Full buckets of a scale, at most [`BUCKETS`].
    pub(super) fn len(&self, scale: usize) -> usize {
        self.scales[scale].buckets.len()
    }

    /// Floors of a scale, oldest first, and before them those of the coarser ones, as far back as is known.
    pub(super) fn history(&self, scale: usize) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for scale in self.scales.iter().skip(scale) {
            let before = points.last().map_or(f64::INFINITY, |point| point.at);
            let older = scale.buckets.iter().rev().map(Bucket::point);
            points.extend(older.filter(|point| point.at < before));
        }
        points.reverse();
        points
    }

    /// The most that the floor of a scale ever fell.
    pub(super) fn release(&self, scale: usize) -> u64 {
        self.scales[scale].release
    }

    /// For how many seconds the floor of a scale has gained nothing, as far as its window shows: the lowest of the newer half
    /// of that time is not above the lowest of the older half.
    pub(super) fn stalled(&self, scale: usize, now_ns: u64) -> f64 {
        let now = self.seconds(now_ns);
        let history = self.history(scale);
        let mut stalled = 0.0;
        let lowest = |from: f64, to: f64| {
            let within = history.iter().filter(|point| point.at >= from && point.at < to);
            within.map(|point| point.floor).fold(f64::INFINITY, f64::min)
        };
        let mut back = width(scale) as f64 * 8.0;
        let reach = now - history.first().map_or(now, |first| first.at);
        while back <= reach {
            let (newer, older) = (
                lowest(now - back / 2.0, now + 1.0),
                lowest(now - back, now - back / 2.0),
            );
            if newer.is_finite() && older.is_finite() && newer > older {
                break;
            }
            stalled = back;
            back *= 1.25;
        }
        stalled
    }

    /// The highest reading of about the last `seconds`, the newest included.
    pub(super) fn ceiling(&self, now_ns: u64, seconds: f64) -> u64 {
        let since = self.seconds(now_ns) - seconds;
        // The finest scale that reaches so far back, or as far as there is anything.
        let reaches = |scale: &&Scale| {
            scale
                .buckets
                .front()
                .is_some_and(|first| first.point().at <= since)
        };
        let coarsest = self.scales.iter().rfind(|scale| !scale.buckets.is_empty());
        let chosen = self.scales.iter().find(reaches).or(coarsest);
        let past = chosen.map_or(0, |scale| {
            let recent = scale.buckets.iter().filter(|bucket| bucket.point().at >= since);
            recent.map(|bucket| bucket.max).max().unwrap_or(0)
        });
        let open = self.scales.iter().filter_map(|scale| scale.open);
        open.take(2)
            .map(|open| open.bucket.max)
            .max()
            .unwrap_or(0)
            .max(past)
    }
}

impl Scale {
    /// Takes a reading of the bucket with that number; says whether this filled the one before.
    fn add(&mut self, number: u64, reading: Bucket) -> bool {
        match &mut self.open {
            Some(open) if open.number >= number => {
                open.readings += 1;
                let bucket = &mut open.bucket;
                if reading.min <= bucket.min {
                    bucket.min = reading.min;
                    bucket.at = reading.at;
                }
                bucket.max = bucket.max.max(reading.max);
                bucket.load += (reading.load - bucket.load) / open.readings as f32;
                return false;
            }
            _ => {}
        }
        let open = Open {
            number,
            bucket: reading,
            readings: 1,
        };
        let Some(full) = self.open.replace(open) else {
            return false;
        };
        if self.buckets.len() == BUCKETS {
            self.buckets.pop_front();
        }
        self.buckets.push_back(full.bucket);
        self.highest = self.highest.max(full.bucket.min);
        self.release = self.release.max(self.highest - full.bucket.min);
        true
    }
}

impl Bucket {
    fn point(&self) -> Point {
        Point {
            at: f64::from(self.at) / 10.0,
            floor: self.min as f64,
            load: f64::from(self.load),
        }
    }
}

fn width(scale: usize) -> u64 {
    1 << (2 * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(seconds: u64) -> Bank {
        let mut bank = Bank::still(100, 0, 0);
        for second in 0..seconds {
            bank.add(second * SECOND_NS, 100 + second, 1.0);
        }
        bank
    }

    #[test]
    fn a_window_is_the_last_sixteen_floors() {
        let bank = ramp(100);
        let window = bank.window(1).unwrap();
        assert_eq!(window.len(), BUCKETS);
        assert!((window[15].at - 92.0).abs() < 0.1 && (window[15].floor - 192.0).abs() < 0.1);
        assert_eq!(bank.window(2), None);
    }

    #[test]
    fn history_goes_back_to_the_beginning() {
        let history = ramp(5_000).history(0);
        assert!(history[0].at < 0.1, "{:?}", history[0]);
        assert!(history.is_sorted_by(|a, b| a.at < b.at));
        assert!(
            history
                .iter()
                .all(|point| (point.floor - point.at - 100.0).abs() < 0.1)
        );
    }

    #[test]
    fn what_stood_still_has_a_past() {
        let mut bank = Bank::still(7, 0, 3_600 * SECOND_NS);
        bank.add(3_600 * SECOND_NS, 9, 0.0);
        assert!(
            bank.window(3)
                .unwrap()
                .iter()
                .all(|point| (point.floor - 7.0).abs() < 0.1)
        );
        assert_eq!(bank.ceiling(3_600 * SECOND_NS, 1_800.0), 9);
    }

    #[test]
    fn the_largest_release_is_remembered() {
        let mut bank = Bank::still(0, 0, 0);
        for second in 0..1_000_u64 {
            bank.add(
                second * SECOND_NS,
                if second < 500 { second } else { second - 400 },
                0.0,
            );
        }
        assert_eq!(bank.release(0), 399);
    }

    #[test]
    fn readings_far_apart_make_one_bucket_each() {
        let mut bank = Bank::still(0, 0, 0);
        for minute in 0..40 {
            bank.add(minute * 60 * SECOND_NS, minute, 0.0);
        }
        let window = bank.window(0).unwrap();
        assert!((window[15].at - window[0].at - 900.0).abs() < 0.1);
    }
}
