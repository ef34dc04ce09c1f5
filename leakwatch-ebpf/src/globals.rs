//! What the agent sets before loading. See [`leakwatch_common::settings`].

use core::ptr;

use leakwatch_common::settings::{Offsets, Settings};

#[unsafe(no_mangle)]
static OFFSETS: Offsets = no_offsets();
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    stacks_per_second: 0,
    class_interval_ns: 0,
    suspect_interval_ns: 0,
    changes_per_second: 0,
    ring_bytes: 0,
    possible_cpus: 0,
    agent_tgid: 0,
    page_bytes: 4096,
    jiffy_ns: 0,
    has_task_pt_regs: 0,
    stack_ring_bytes: 0,
    stacks_of_suspects: 0,
};

const fn no_offsets() -> Offsets {
    // SAFETY: `Offsets` is `Zeroable`: integers only.
    unsafe { core::mem::zeroed() }
}

/// Byte offset of one kernel struct member.
macro_rules! offset {
    ($member:ident) => {
        $crate::globals::volatile(&raw const $crate::globals::offsets().$member)
    };
}
pub(crate) use offset;

/// One setting.
macro_rules! setting {
    ($member:ident) => {
        $crate::globals::volatile(&raw const $crate::globals::settings().$member)
    };
}
pub(crate) use setting;

#[inline(always)]
pub(crate) fn offsets() -> &'static Offsets {
    &OFFSETS
}

#[inline(always)]
pub(crate) fn settings() -> &'static Settings {
    &SETTINGS
}

/// Reads what the loader may have replaced, which the compiler must therefore not fold.
#[inline(always)]
pub(crate) fn volatile(member: *const u32) -> u32 {
    // SAFETY: the macros pass pointers to members of the statics above.
    unsafe { ptr::read_volatile(member) }
}
