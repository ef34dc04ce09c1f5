//! How much of what costs something each CPU may do in a second.

use leakwatch_common::counter::Budget;

use crate::maps::BUDGETS;

const SECOND_NS: u64 = 1_000_000_000;

/// What is spent before is spent too early: those who ask late in a second would never be heard.
const EARLY_NS: u64 = SECOND_NS / 8 * 7;
/// A 256th.
const MAX_PRESSURE: u32 = 8;

/// [`leakwatch_common::counter::Spent::pressure`] of this CPU.
#[inline(always)]
pub(crate) fn pressure(budget: Budget) -> u32 {
    // SAFETY: a per-CPU map value; one word.
    let pressure = BUDGETS
        .get_ptr(budget as u32)
        .map_or(0, |spent| unsafe { (*spent).pressure });
    pressure.min(MAX_PRESSURE)
}

/// Takes one from this CPU's budget; false, and counted, when this second's `limit` is spent.
#[inline(always)]
pub(crate) fn take(budget: Budget, limit: u32, now_ns: u64) -> bool {
    let Some(spent) = BUDGETS.get_ptr_mut(budget as u32) else {
        return false;
    };
    // SAFETY: a per-CPU map value; programs do not migrate while they run. An interrupt that runs another program in
    // between can at worst let one more through.
    let spent = unsafe { &mut *spent };
    if now_ns.wrapping_sub(spent.since_ns) >= SECOND_NS {
        if spent.early != 0 {
            spent.pressure = (spent.pressure + 1).min(MAX_PRESSURE);
        } else if spent.pressure > 0 && spent.used < u64::from(limit / 2) {
            spent.pressure -= 1;
        }
        spent.since_ns = now_ns;
        spent.used = 0;
        spent.early = 0;
    }
    if spent.used >= u64::from(limit) {
        spent.shed += 1;
        return false;
    }
    spent.used += 1;
    // Not told by how many are refused: who was waits longer before it asks again.
    if spent.used == u64::from(limit) && now_ns.wrapping_sub(spent.since_ns) < EARLY_NS {
        spent.early = 1;
    }
    true
}
