//! What each call stack of one process took, and what of it is still held.
//!
//! The kernel counts every birth and every death by kind; which stack they belong to is known for samples. Each sample stands
//! for `weight` births, and while the thing that it saw is alive, for as many that are held.

use std::collections::HashMap;

use leakwatch_common::kind::Kind;

use super::{cohorts::Cohorts, lifetimes::Lifetimes};
use crate::model::stack::StackId;

/// Stacks kept per process; births at further ones are known by kind only.
pub const MAX_STACKS: usize = 256;
/// Live samples kept per process. When there are more, every other one is let go and the rest count twice.
pub const MAX_LIVE: usize = 8192;

/// [`Sites::early_deaths`] kept; then they begin anew, because some are of births that were lost and will never come.
const MAX_EARLY_DEATHS: usize = 256;

/// One call stack that takes one kind of thing.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Samples.
    pub samples: u64,
    /// Births that they stand for.
    pub born: u64,
    /// Bytes that these took; 0 for descriptors and threads.
    pub bytes: u64,
    /// Lifetimes of the sampled ones that were given back.
    pub lifetimes: Lifetimes,
    /// When the samples were born.
    pub cohorts: Cohorts,
}

/// A sampled thing that is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Survivor {
    /// What it is.
    pub kind: Kind,
    /// Who took it.
    pub stack: StackId,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Descriptor number, thread id or address.
    pub item: u64,
    /// How many that are alive it stands for.
    pub weight: u64,
}

/// What of a site is still held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Things that the live samples stand for.
    pub live: u64,
    /// Bytes of them; 0 for descriptors and threads.
    pub bytes: u64,
    /// When the oldest of them was seen first, nanoseconds of `CLOCK_MONOTONIC`.
    pub oldest_ns: Option<u64>,
    /// Some of them: descriptor numbers, thread ids, addresses; the oldest first.
    pub items: Vec<u64>,
}

/// How many [`Held::items`] there are at most.
const MAX_ITEMS: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Live {
    kind: Kind,
    stack: StackId,
    weight: u64,
    since_ns: u64,
    item: u64,
}

/// A sampled birth.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Number of the sample.
    pub sample: u32,
    /// What was taken.
    pub kind: Kind,
    /// From where.
    pub stack: StackId,
    /// For how many births it stands.
    pub weight: u64,
    /// Descriptor number, thread id or address.
    pub item: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
}

/// Sites of one process.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    by_stack: HashMap<(Kind, StackId), Site>,
    live: HashMap<u32, Live>,
    /// Deaths of samples that have not come yet, with their lifetimes: births come by another ring buffer, where an unfinished
    /// record keeps what is behind it waiting.
    early_deaths: HashMap<u32, u64>,
    /// Live samples are kept whose number, hashed, ends in so many zero bits.
    thinning: u32,
    /// Deaths were lost last then, nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    forgotten_ns: u64,
}

impl Sites {
    /// Adds a birth.
    pub fn born(&mut self, birth: Birth) {
        let full = self.by_stack.len() >= MAX_STACKS;
        let known = self.by_stack.contains_key(&(birth.kind, birth.stack));
        let stack = if known || !full {
            birth.stack
        } else {
            StackId::NONE
        };
        let site = self.by_stack.entry((birth.kind, stack)).or_default();
        site.samples += 1;
        site.born += birth.weight;
        site.cohorts.add(birth.now_ns);
        if let Some(lifetime_ns) = self.early_deaths.remove(&birth.sample) {
            site.lifetimes.add(lifetime_ns);
            return;
        }
        if !self.keeps(birth.sample) {
            return;
        }
        self.live.insert(
            birth.sample,
            Live {
                kind: birth.kind,
                stack,
                weight: birth.weight,
                since_ns: birth.now_ns,
                item: birth.item,
            },
        );
        while self.live.len() > MAX_LIVE {
            self.thinning += 1;
            let thinning = self.thinning;
            self.live
                .retain(|&sample, _| mixed(sample).trailing_zeros() >= thinning);
        }
    }

    /// What the sample saw was given back after `lifetime_ns`.
    pub fn died(&mut self, sample: u32, lifetime_ns: u64) {
        let Some(live) = self.live.remove(&sample) else {
            if self.early_deaths.len() >= MAX_EARLY_DEATHS {
                self.early_deaths.clear();
            }
            if self.keeps(sample) {
                self.early_deaths.insert(sample, lifetime_ns);
            }
            return;
        };
        if let Some(site) = self.by_stack.get_mut(&(live.kind, live.stack)) {
            site.lifetimes.add(lifetime_ns);
        }
    }

    /// What the sample saw took so many bytes.
    pub fn took(&mut self, sample: u32, bytes: u64) {
        if let Some(live) = self.live.get(&sample)
            && let Some(site) = self.by_stack.get_mut(&(live.kind, live.stack))
        {
            site.bytes += (bytes * live.weight) << self.thinning;
        }
        // What the program break took is given back by nobody in particular.
        if self
            .live
            .get(&sample)
            .is_some_and(|live| live.kind == Kind::BrkGrow)
        {
            self.live.remove(&sample);
        }
    }

    /// The last of what the sample mapped was unmapped at `now_ns`.
    pub fn unmapped(&mut self, sample: u32, now_ns: u64) {
        let since_ns = self.live.get(&sample).map_or(now_ns, |live| live.since_ns);
        self.died(sample, now_ns.saturating_sub(since_ns));
    }

    /// It is not known any more which mappings are alive, nor whether the program break moved.
    pub fn forget_mappings(&mut self) {
        self.live.retain(|_, live| !live.kind.changes_address_space());
    }

    /// Sampled things that are alive, in no order.
    pub fn survivors(&self) -> impl Iterator<Item = Survivor> {
        self.live.values().map(|live| Survivor {
            kind: live.kind,
            stack: live.stack,
            since_ns: live.since_ns,
            item: live.item,
            weight: live.weight << self.thinning,
        })
    }

    /// Deaths were lost before `now_ns`: which descriptors and threads are alive is not known any more. What becomes of mappings
    /// comes by records of their own.
    pub fn forget_live(&mut self, now_ns: u64) {
        self.live.retain(|_, live| live.kind.changes_address_space());
        self.forgotten_ns = now_ns;
    }

    /// Everything of a kind that was sampled since then and is alive is a survivor; nanoseconds of `CLOCK_MONOTONIC`.
    pub fn whole_since_ns(&self, kind: Kind) -> u64 {
        if kind.is_fd() || kind == Kind::Thread {
            self.forgotten_ns
        } else {
            0
        }
    }

    /// Live samples kept.
    pub fn live_samples(&self) -> usize {
        self.live.len()
    }

    /// Every site, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, StackId, &Site)> {
        self.by_stack
            .iter()
            .map(|(&(kind, stack), site)| (kind, stack, site))
    }

    /// What is still held, by site. Of mappings those samples of which `mapped` bytes are left.
    pub fn held(&self, mapped: &dyn Fn(u32) -> Option<u64>) -> HashMap<(Kind, StackId), Held> {
        let mut held: HashMap<(Kind, StackId), Held> = HashMap::new();
        let left = |(&sample, live): (&u32, &Live)| {
            if live.kind == Kind::Mapping {
                mapped(sample).map(|bytes| (sample, *live, bytes))
            } else {
                Some((sample, *live, 0))
            }
        };
        let mut oldest_first: Vec<(u32, Live, u64)> = self.live.iter().filter_map(left).collect();
        oldest_first.sort_by_key(|(sample, live, _)| (live.since_ns, live.item, *sample));
        for (_, live, bytes) in oldest_first {
            let site = held.entry((live.kind, live.stack)).or_default();
            site.live += live.weight << self.thinning;
            site.bytes += (bytes * live.weight) << self.thinning;
            site.oldest_ns.get_or_insert(live.since_ns);
            if site.items.len() < MAX_ITEMS {
                site.items.push(live.item);
            }
        }
        held
    }

    fn keeps(&self, sample: u32) -> bool {
        mixed(sample).trailing_zeros() >= self.thinning
    }
}

/// Every bit of the result depends on every bit of the number (MurmurHash3's finalizer): samples are numbered in steps.
fn mixed(sample: u32) -> u32 {
    let sample = (sample ^ (sample >> 16)).wrapping_mul(0x85eb_ca6b);
    let sample = (sample ^ (sample >> 13)).wrapping_mul(0xc2b2_ae35);
    sample ^ (sample >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(sample: u32, stack: u32) -> Birth {
        Birth {
            sample,
            kind: Kind::Socket,
            stack: StackId(stack),
            weight: 4,
            item: u64::from(sample),
            now_ns: u64::from(sample),
        }
    }

    fn held(sites: &Sites, stack: u32) -> Held {
        sites
            .held(&|_| None)
            .remove(&(Kind::Socket, StackId(stack)))
            .unwrap_or_default()
    }

    #[test]
    fn a_site_holds_what_did_not_die() {
        let mut sites = Sites::default();
        for sample in 1..=10 {
            sites.born(birth(sample, sample % 2));
        }
        for sample in [1, 3, 5, 7, 9, 2] {
            sites.died(sample, 1_000_000);
        }
        assert_eq!(held(&sites, 1), Held::default());
        let leak = held(&sites, 0);
        assert_eq!(
            (leak.live, leak.oldest_ns, leak.items),
            (16, Some(4), vec![4, 6, 8])
        );
        let site = sites.iter().find(|(_, stack, _)| *stack == StackId(1)).unwrap().2;
        assert_eq!((site.samples, site.born), (5, 20));
        assert!(site.lifetimes.quantile_ns(0.5).is_some());
    }

    #[test]
    fn a_death_may_come_before_its_birth() {
        let mut sites = Sites::default();
        sites.died(5, 1_000_000);
        sites.born(birth(5, 1));
        sites.born(birth(6, 1));
        assert_eq!(held(&sites, 1).items, [6]);
        let site = sites.iter().next().unwrap().2;
        assert_eq!((site.samples, site.lifetimes.mean_ns()), (2, Some(1_000_000)));
    }

    #[test]
    fn thinned_samples_still_stand_for_everything() {
        let mut sites = Sites::default();
        let births = 20 * u32::try_from(MAX_LIVE).unwrap();
        for sample in 1..=births {
            sites.born(birth(sample, 7));
        }
        assert!(sites.live_samples() <= MAX_LIVE);
        let live = held(&sites, 7).live as f64;
        let expected = 4.0 * f64::from(births);
        assert!((live / expected - 1.0).abs() < 0.1, "{live} of {expected}");
    }

    #[test]
    fn stacks_beyond_the_limit_are_known_by_kind() {
        let mut sites = Sites::default();
        for sample in 1..1_000 {
            sites.born(birth(sample, sample));
        }
        assert_eq!(sites.iter().count(), MAX_STACKS + 1);
        assert_eq!(sites.iter().map(|(_, _, site)| site.born).sum::<u64>(), 4 * 999);
    }
}
