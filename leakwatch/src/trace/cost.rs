//! What a trace costs the process that is traced, from rates and from what one hit costs here.

use super::entry::{Placement, Site};

/// What being hit costs on this host, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HitCosts {
    /// The beginning of a call that allocates, at an instruction that is emulated.
    pub allocation_ns: f64,
    /// The beginning of one that frees, likewise.
    pub free_ns: f64,
    /// What is added where the instruction is single-stepped.
    pub stepping_ns: f64,
    /// The return of a call, added to its beginning.
    pub return_ns: f64,
    /// A second breakpoint in the same function.
    pub breakpoint_ns: f64,
    /// A copied stack.
    pub stack_ns: f64,
}

/// A function and how often it is called.
#[derive(Clone, Copy, Debug)]
pub struct Called {
    /// Where it is probed.
    pub placement: Placement,
    /// Calls a second.
    pub per_second: f64,
}

/// What is to be expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Calls a second that allocate.
    pub allocations_per_second: f64,
    /// Calls a second that free.
    pub frees_per_second: f64,
    /// One in so many allocations is followed; a power of two.
    pub one_in: u32,
    /// Time added to an allocation and the free that belongs to it, nanoseconds.
    pub pair_ns: f64,
    /// Time added in a second, as a share of one processor: 1 is all of it.
    pub share: f64,
    /// The part of it that calls that free have.
    pub free_share: f64,
}

impl Prediction {
    /// What it would have been at these rates, with the same functions called in the same proportions.
    pub fn share_at(&self, allocations_per_second: f64, frees_per_second: f64) -> f64 {
        let ratio = |now: f64, then: f64| if then > 0.0 { now / then } else { 0.0 };
        (self.share - self.free_share) * ratio(allocations_per_second, self.allocations_per_second)
            + self.free_share * ratio(frees_per_second, self.frees_per_second)
    }
}

/// Stacks a second at the most: what unwinding takes of the agent's own time is then some percent of one processor.
const MOST_STACKS_PER_SECOND: f64 = 400.0;
/// Stacks of one trace at the most.
const MOST_STACKS: f64 = 200_000.0;

/// Predicts the cost of a trace of so many seconds.
pub fn predict(calls: &[Called], costs: &HitCosts, seconds: f64) -> Prediction {
    let mut prediction = Prediction::default();
    let (mut allocation_time, mut free_time) = (0.0, 0.0);
    for call in calls {
        let time = call.per_second * costs.of(&call.placement);
        if call.placement.ret.is_some() {
            prediction.allocations_per_second += call.per_second;
            allocation_time += time;
        } else {
            prediction.frees_per_second += call.per_second;
            free_time += time;
        }
    }
    let stacks = MOST_STACKS_PER_SECOND.min(MOST_STACKS / seconds.max(1.0));
    prediction.one_in = one_in(prediction.allocations_per_second, stacks);
    let stack_time = prediction.allocations_per_second / f64::from(prediction.one_in) * costs.stack_ns;
    let average = |time: f64, rate: f64| if rate > 0.0 { time / rate } else { 0.0 };
    prediction.pair_ns = average(allocation_time + stack_time, prediction.allocations_per_second)
        + average(free_time, prediction.frees_per_second);
    prediction.free_share = free_time / 1e9;
    prediction.share = (allocation_time + free_time + stack_time) / 1e9;
    prediction
}

/// The smallest power of two that keeps this rate below `most`.
fn one_in(rate: f64, most: f64) -> u32 {
    let mut one_in: u32 = 1;
    while rate / f64::from(one_in) > most && one_in < 1 << 24 {
        one_in *= 2;
    }
    one_in
}

impl HitCosts {
    /// One call of a function that is probed like this.
    pub fn of(&self, placement: &Placement) -> f64 {
        let stepping = |site: Site| if site.emulated { 0.0 } else { self.stepping_ns };
        let entry = stepping(placement.entry);
        match placement.ret {
            None => self.free_ns + entry,
            Some(ret) if ret == placement.entry => self.allocation_ns + self.return_ns + entry,
            Some(ret) => self.allocation_ns + self.return_ns + entry + self.breakpoint_ns + stepping(ret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Role;
    use super::*;

    const COSTS: HitCosts = HitCosts {
        allocation_ns: 700.0,
        free_ns: 500.0,
        stepping_ns: 20_000.0,
        return_ns: 800.0,
        breakpoint_ns: 500.0,
        stack_ns: 2_000.0,
    };

    fn called(per_second: f64, emulated: bool, returns: bool) -> Called {
        let site = Site { offset: 0, emulated };
        Called {
            placement: Placement {
                entry: site,
                read_as: if returns { Role::Allocate } else { Role::Deallocate },
                ret: returns.then_some(site),
            },
            per_second,
        }
    }

    #[test]
    fn rates_times_costs() {
        let calls = [called(10_000.0, true, true), called(9_000.0, true, false)];
        let prediction = predict(&calls, &COSTS, 30.0);
        assert_eq!(prediction.one_in, 32);
        let stacks = 10_000.0 / 32.0 * 2_000.0;
        let expected = (10_000.0 * 1_500.0 + 9_000.0 * 500.0 + stacks) / 1e9;
        assert!((prediction.share - expected).abs() < 1e-9, "{prediction:?}");
        assert!((prediction.pair_ns - (1_500.0 + 2_000.0 / 32.0 + 500.0)).abs() < 1e-6);
    }

    #[test]
    fn other_rates_cost_in_proportion() {
        let calls = [called(1_000.0, true, true), called(1_000.0, true, false)];
        let prediction = predict(&calls, &COSTS, 30.0);
        assert!((prediction.share_at(1_000.0, 1_000.0) - prediction.share).abs() < 1e-12);
        assert!((prediction.share_at(0.0, 2_000.0) - 2.0 * prediction.free_share).abs() < 1e-12);
        assert!(predict(&[], &COSTS, 30.0).share_at(5.0, 5.0).abs() < 1e-12);
    }

    #[test]
    fn stepping_is_what_makes_it_dear() {
        let cheap = predict(&[called(10_000.0, true, false)], &COSTS, 30.0);
        let dear = predict(&[called(10_000.0, false, false)], &COSTS, 30.0);
        assert!(dear.share > 30.0 * cheap.share, "{dear:?} {cheap:?}");
    }

    #[test]
    fn a_second_breakpoint_counts() {
        let mut call = called(1.0, true, true);
        let once = COSTS.of(&call.placement);
        call.placement.ret = Some(Site {
            offset: 9,
            emulated: true,
        });
        assert!((COSTS.of(&call.placement) - once - COSTS.breakpoint_ns).abs() < 1e-9);
    }

    #[test]
    fn long_traces_take_fewer_stacks_a_second_and_idle_programs_all() {
        let calls = [called(10_000.0, true, true)];
        let long = predict(&calls, &COSTS, 3_600.0);
        assert!(10_000.0 / f64::from(long.one_in) * 3_600.0 <= MOST_STACKS);
        assert_eq!(predict(&[], &COSTS, 30.0).one_in, 1);
        assert!(predict(&[called(f64::MAX, true, true)], &COSTS, 30.0).one_in <= 1 << 24);
    }
}
