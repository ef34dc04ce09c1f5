//! How much of what costs something each CPU may do in a second.

use leakwatch_common::counter::Budget;

use crate::maps::BUDGETS;

const SECOND_NS: u64 = 1_000_000_000;

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
        spent.since_ns = now_ns;
        spent.used = 0;
    }
    if spent.used >= u64::from(limit) {
        spent.shed += 1;
        return false;
    }
    spent.used += 1;
    true
}
