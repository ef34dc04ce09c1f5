//! Which call stack made memory resident, and what of it still is.
//!
//! A sampled page fault is a page that a stack touched first. Who keeps it is another question: an allocator may have given the
//! page to somebody else since.

use std::collections::{BTreeMap, HashMap};

use leakwatch_common::{kind::Kind, stack::StackTaken};

use super::{
    cohorts::Cohorts,
    lifetimes::Lifetimes,
    sites::{Held, Survivor},
};
use crate::model::stack::StackId;

/// Pages kept per process. When there are more, every other one is let go and the rest count twice.
pub const MAX_PAGES: usize = 2048;

#[derive(Clone, Copy, Debug)]
struct Touch {
    stack: StackId,
    weight: u64,
    since_ns: u64,
    /// The same by the clock of the programs, by which changes of the address space are told.
    touched_ns: u64,
}

/// Sampled pages of one process, by address.
#[derive(Clone, Debug, Default)]
pub struct FirstTouch {
    pages: BTreeMap<u64, Touch>,
    samples: HashMap<StackId, Touched>,
    thinning: u32,
}

/// What one stack touched first.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Samples.
    pub samples: u64,
    /// Periods that they stand for.
    pub faults: u64,
    /// Lifetimes of the sampled pages that were given back.
    pub lifetimes: Lifetimes,
    /// When they were touched.
    pub cohorts: Cohorts,
}

impl FirstTouch {
    /// `stack` touched the page that is `taken.item`; the sample stands for `taken.weight` periods.
    pub fn touched(&mut self, taken: &StackTaken, stack: StackId, now_ns: u64) {
        let page = taken.item & !(PAGE - 1);
        let weight = u64::from(taken.weight);
        let full = self.samples.len() >= super::sites::MAX_STACKS;
        let stack = if self.samples.contains_key(&stack) || !full {
            stack
        } else {
            StackId::NONE
        };
        let touched = self.samples.entry(stack).or_default();
        touched.samples += 1;
        touched.faults += weight;
        touched.cohorts.add(now_ns);
        if !keeps(page, self.thinning) {
            return;
        }
        let touch = Touch {
            stack,
            weight,
            since_ns: now_ns,
            touched_ns: taken.time_ns,
        };
        if let Some(before) = self.pages.insert(page, touch) {
            // It was given back in between.
            self.died(before, now_ns);
        }
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

    /// What was touched of `len` bytes at `address` before `until_ns` of the programs' clock was given back. What was touched
    /// later is still held: changes are told after the touches of the same reading.
    pub fn given_back(&mut self, address: u64, len: u64, until_ns: u64, now_ns: u64) {
        let end = address.saturating_add(len);
        if address >= end {
            return;
        }
        let pages = self.pages.range(address..end);
        let gone = pages.filter(|(_, touch)| touch.touched_ns < until_ns);
        let gone: Vec<u64> = gone.map(|(&page, _)| page).collect();
        self.not_resident(&gone, now_ns);
    }

    /// These pages are not resident any more.
    pub fn not_resident(&mut self, pages: &[u64], now_ns: u64) {
        for page in pages {
            if let Some(touch) = self.pages.remove(page) {
                self.died(touch, now_ns);
            }
        }
    }

    fn died(&mut self, touch: Touch, now_ns: u64) {
        if let Some(touched) = self.samples.get_mut(&touch.stack) {
            touched.lifetimes.add(now_ns.saturating_sub(touch.since_ns));
        }
    }

    /// Addresses of the pages kept, ascending.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = u64> {
        self.pages.keys().copied()
    }

    /// Samples and the periods that they stand for, by stack.
    pub fn samples(&self) -> impl Iterator<Item = (StackId, u64, u64)> {
        self.stacks()
            .map(|(stack, touched)| (stack, touched.samples, touched.faults))
    }

    /// What each stack touched first, in no order.
    pub fn stacks(&self) -> impl Iterator<Item = (StackId, &Touched)> {
        self.samples.iter().map(|(&stack, touched)| (stack, touched))
    }

    /// Sampled pages that are resident; weights are periods.
    pub fn survivors(&self) -> impl Iterator<Item = Survivor> {
        self.pages.iter().map(|(&page, touch)| Survivor {
            kind: Kind::FirstTouch,
            stack: touch.stack,
            since_ns: touch.since_ns,
            item: page,
            weight: touch.weight << self.thinning,
        })
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
    use bytemuck::Zeroable as _;

    use super::*;

    const MAP: u64 = 0x7f00_0000_0000;

    /// Both clocks show the same.
    fn touched(touch: &mut FirstTouch, item: u64, stack: u32, weight: u32, now_ns: u64) {
        let taken = StackTaken {
            item,
            weight,
            time_ns: now_ns,
            ..StackTaken::zeroed()
        };
        touch.touched(&taken, StackId(stack), now_ns);
    }

    #[test]
    fn what_is_given_back_is_not_held() {
        let mut touch = FirstTouch::default();
        for page in 0..100 {
            touched(&mut touch, MAP + page * PAGE + 8, 1, 1, page);
        }
        touch.given_back(MAP, 50 * PAGE, 1_000, 1_000);
        touch.not_resident(&[MAP + 60 * PAGE], 1_000);
        let held = touch.held().remove(&StackId(1)).unwrap();
        assert_eq!((held.live, held.oldest_ns), (49, Some(50)));
        assert_eq!(touch.samples().next(), Some((StackId(1), 100, 100)));
        assert_eq!(touch.stacks().next().unwrap().1.lifetimes.count(), 51);
        touch.given_back(0, u64::MAX, 1_000, 1_000);
        assert!(touch.held().is_empty());
    }

    #[test]
    fn what_is_touched_after_a_change_is_not_given_back_by_it() {
        let mut touch = FirstTouch::default();
        for page in 0..100 {
            touched(&mut touch, MAP + page * PAGE, 1, 1, page);
        }
        touch.given_back(MAP, 100 * PAGE, 40, 1_000);
        assert_eq!(touch.held()[&StackId(1)].live, 60);
    }

    #[test]
    fn a_page_belongs_to_who_touched_it_last() {
        let mut touch = FirstTouch::default();
        touched(&mut touch, MAP, 1, 1, 1);
        touched(&mut touch, MAP + 1, 2, 1, 2);
        assert_eq!(touch.held().keys().collect::<Vec<_>>(), [&StackId(2)]);
    }

    #[test]
    fn thinned_pages_still_stand_for_everything() {
        let mut touch = FirstTouch::default();
        let pages = 40 * MAX_PAGES as u64;
        for page in 0..pages {
            touched(&mut touch, MAP + page * 256 * PAGE, 1, 2, page);
        }
        assert!(touch.pages().len() <= MAX_PAGES);
        let live = touch.held()[&StackId(1)].live as f64;
        let expected = 2.0 * pages as f64;
        assert!((live / expected - 1.0).abs() < 0.2, "{live} of {expected}");
    }
}
