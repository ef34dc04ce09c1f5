//! Lets the loader hand these types to the kernel as bytes.

use crate::{
    allocation::{Control, LiveAllocation, PendingAllocation},
    counter::Spent,
    interpreter::{ImageKey, Interpreter},
    settings::{Offsets, Settings},
    site::{FdPage, FdPageKey, Process, SiteCounts, SiteKey, Thread},
};

macro_rules! pod {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: the type is `bytemuck::Pod`: `repr(C)`, no padding, every bit pattern valid.
        unsafe impl aya::Pod for $type {}
    )+};
}

pod!(
    Control,
    LiveAllocation,
    PendingAllocation,
    FdPage,
    FdPageKey,
    ImageKey,
    Interpreter,
    Offsets,
    Process,
    Settings,
    SiteCounts,
    SiteKey,
    Spent,
    Thread
);
