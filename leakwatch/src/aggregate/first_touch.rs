//! Which call stack made memory resident, and what of it still is.
//!
//! A sampled page fault is a page that a stack touched first. Who keeps it is another question: an allocator may have given the
//! page to somebody else since.

use std::collections::{BTreeMap, HashMap};

use super::sites::Held;
use crate::model::stack::StackId;

/// Pages kept per process. When there are more, every other one is let go and the rest count twice.
pub const MAX_PAGES: usize = 2048;

#[derive(Clone, Copy, Debug)]
struct Touch {
    stack: StackId,
    weight: u64,
    since_ns: u64,
}

/// Sampled pages of one process, by address.
#[derive(Clone, Debug, Default)]
pub struct FirstTouch {
    pages: BTreeMap<u64, Touch>,
    /// Samples and the faults that they stand for, by stack.
    samples: HashMap<StackId, (u64, u64)>,
    thinning: u32,
}

impl FirstTouch {
    /// `stack` touched the page at `address`; the sample stands for `weight` periods.
    pub fn touched(&mut self, address: u64, stack: StackId, weight: u64, now_ns: u64) {
        let page = address & !(PAGE - 1);
        let full = self.samples.len() >= super::sites::MAX_STACKS;
        let stack = if self.samples.contains_key(&stack) || !full {
            stack
        } else {
            StackId::NONE
        };
        let (samples, faults) = self.samples.entry(stack).or_default();
        *samples += 1;
        *faults += weight;
        if !keeps(page, self.thinning) {
            return;
        }
        // Touched again: it was given back in between.
        self.pages.insert(
            page,
            Touch {
                stack,
                weight,
                since_ns: now_ns,
            },
        );
        while self.pages.len() > MAX_PAGES {
            self.thin();
        }
    }

    /// Lets every other page go.
    pub fn thin(&mut self) {
        self.thinning += 1;
        let thinning = self.thinning;
        self.pages.retain(|&page, _| keeps(page, thinning));
    }

    /// `len` bytes at `address` were given back.
    pub fn given_back(&mut self, address: u64, len: u64) {
        let end = address.saturating_add(len);
        if address >= end {
            return;
        }
        let gone: Vec<u64> = self.pages.range(address..end).map(|(&page, _)| page).collect();
        for page in gone {
            self.pages.remove(&page);
        }
    }

    /// These pages are not resident any more.
    pub fn not_resident(&mut self, pages: &[u64]) {
        for page in pages {
            self.pages.remove(page);
        }
    }

    /// Addresses of the pages kept, ascending.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = u64> {
        self.pages.keys().copied()
    }

    /// Samples and the periods that they stand for, by stack.
    pub fn samples(&self) -> impl Iterator<Item = (StackId, u64, u64)> {
        self.samples
            .iter()
            .map(|(&stack, &(samples, faults))| (stack, samples, faults))
    }

    /// Periods of memory still resident, by stack.
    pub fn held(&self) -> HashMap<StackId, Held> {
        let mut held: HashMap<StackId, Held> = HashMap::new();
        for touch in self.pages.values() {
            let site = held.entry(touch.stack).or_default();
            site.live += touch.weight << self.thinning;
            let oldest = site.oldest_ns.get_or_insert(touch.since_ns);
            *oldest = touch.since_ns.min(*oldest);
        }
        held
    }
}

/// Smallest page of the architectures supported.
const PAGE: u64 = 4096;

/// Whether a page is kept at this thinning. By address, so that a page that is touched again is decided about alike.
fn keeps(page: u64, thinning: u32) -> bool {
    // Multiplicative hashing, Knuth TAOCP 3, 6.4: the high bits are the good ones.
    let hash = (page / PAGE).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash.leading_zeros() >= thinning
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: u64 = 0x7f00_0000_0000;

    #[test]
    fn what_is_given_back_is_not_held() {
        let mut touch = FirstTouch::default();
        for page in 0..100 {
            touch.touched(MAP + page * PAGE + 8, StackId(1), 1, page);
        }
        touch.given_back(MAP, 50 * PAGE);
        touch.not_resident(&[MAP + 60 * PAGE]);
        let held = touch.held().remove(&StackId(1)).unwrap();
        assert_eq!((held.live, held.oldest_ns), (49, Some(50)));
        assert_eq!(touch.samples().next(), Some((StackId(1), 100, 100)));
        touch.given_back(0, u64::MAX);
        assert!(touch.held().is_empty());
    }

    #[test]
    fn a_page_belongs_to_who_touched_it_last() {
        let mut touch = FirstTouch::default();
        touch.touched(MAP, StackId(1), 1, 1);
        touch.touched(MAP + 1, StackId(2), 1, 2);
        assert_eq!(touch.held().keys().collect::<Vec<_>>(), [&StackId(2)]);
    }

    #[test]
    fn thinned_pages_still_stand_for_everything() {
        let mut touch = FirstTouch::default();
        let pages = 40 * MAX_PAGES as u64;
        for page in 0..pages {
            touch.touched(MAP + page * 256 * PAGE, StackId(1), 2, page);
        }
        assert!(touch.pages().len() <= MAX_PAGES);
        let live = touch.held()[&StackId(1)].live as f64;
        let expected = 2.0 * pages as f64;
        assert!((live / expected - 1.0).abs() < 0.2, "{live} of {expected}");
    }
}
