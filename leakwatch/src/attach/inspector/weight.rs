//! How many objects a sample of V8's stands for.
//!
//! An object of `size` bytes is sampled with a probability of 1 - e^(-size/interval); each sample is told as the bytes that it
//! stands for, `size` times that probability's inverse, rounded (`SamplingHeapProfiler::ScaleSample`,
//! src/profiler/sampling-heap-profiler.cc of V8). The size itself is not told, so it is the smallest one that gives these
//! bytes: that is the right one if it divides the interval, and an estimate else.

use std::collections::HashMap;

/// Bytes between two samples, on the average. V8's own default is 32768; a leak of 10 KiB a second is seen fifteen times in
/// half a minute with this. Most sizes of small objects divide it: 8 times 1 to 10, 12, 14, 15, 18, 20, ...
pub(super) const INTERVAL: u64 = 20_160;
/// Objects are so long, or a multiple of it: node compresses no pointers.
const ALIGNMENT: u64 = 8;
/// No object of JavaScript is shorter.
const SMALLEST: u64 = 16;
/// Most numbers of bytes that are remembered; what else there is counts for one object.
const MAX_KNOWN: usize = 4096;

/// Weights of samples.
#[derive(Default)]
pub(super) struct Weights(HashMap<u64, u64>);

impl Weights {
    /// How many objects it stands for, of the bytes that it stands for.
    pub(super) fn objects(&mut self, bytes: u64) -> u64 {
        if let Some(&known) = self.0.get(&bytes) {
            return known;
        }
        if self.0.len() >= MAX_KNOWN {
            return 1;
        }
        let objects = objects(bytes);
        self.0.insert(bytes, objects);
        objects
    }
}

fn objects(bytes: u64) -> u64 {
    // Rounding adds less than one object to the interval, so none is smaller than what is more than that.
    let from = bytes
        .saturating_sub(INTERVAL)
        .next_multiple_of(ALIGNMENT)
        .max(SMALLEST);
    let to = bytes.min(from.saturating_add(INTERVAL));
    let mut sizes = (from..=to).step_by(8);
    let size = sizes.find(|&size| bytes.is_multiple_of(size) && weight(size) == bytes / size);
    size.map_or(1, |size| bytes / size)
}

/// As V8 computes it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and it is at least 1"
)]
fn weight(size: u64) -> u64 {
    let probability = 1.0 - (-(size as f64) / INTERVAL as f64).exp();
    (1.0 / probability + 0.5) as u64
}

#[cfg(test)]
mod tests {
    use super::{Weights, weight};

    #[test]
    fn sizes_of_common_objects_are_found_again() {
        let mut weights = Weights::default();
        for size in (16..=80)
            .step_by(8)
            .chain([96, 112, 120, 144, 160, 192, 240, 336, 480, 560, 720])
        {
            assert_eq!(weights.objects(size * weight(size)), weight(size), "{size}");
        }
        // As node 24 said it, of arrays of 16 elements.
        assert_eq!(weights.objects(20_304), 141);
        assert_eq!(weights.objects(458_792), 1);
    }

    #[test]
    fn any_number_stands_for_something() {
        let mut weights = Weights::default();
        for bytes in (0..10_000).chain(20_000..21_000).chain([u64::MAX - 1, u64::MAX]) {
            assert!(weights.objects(bytes) >= 1, "{bytes}");
        }
    }
}
