//! Who touched memory first: sampled page faults by stack.

use leakwatch_common::site::NO_STACK;

/// Stacks kept per process; faults of further stacks are counted without one.
pub const MAX_STACKS: usize = 64;

/// Samples by stack.
#[derive(Clone, Debug, Default)]
pub struct FirstTouch {
    samples: Vec<(i32, u64)>,
}

impl FirstTouch {
    /// Adds a sample.
    pub fn add(&mut self, stack: i32) {
        let known = self.samples.iter_mut().find(|(id, _)| *id == stack);
        if let Some((_, count)) = known {
            *count += 1;
        } else if stack == NO_STACK || self.samples.len() < MAX_STACKS {
            self.samples.push((stack, 1));
        } else {
            self.add(NO_STACK);
        }
    }

    /// Stack and number of samples.
    pub fn samples(&self) -> &[(i32, u64)] {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sample_is_lost_to_the_limit() {
        let mut touch = FirstTouch::default();
        for stack in 0..1_000 {
            touch.add(stack);
        }
        assert_eq!(touch.samples().len(), MAX_STACKS + 1);
        assert_eq!(touch.samples().iter().map(|(_, count)| count).sum::<u64>(), 1_000);
    }
}
