//! Reads of kernel memory, at offsets that the agent took from the running kernel's BTF.

pub(crate) mod file;
pub(crate) mod percpu;
pub(crate) mod task;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use leakwatch_common::counter::Counter;

use crate::counters::count;

/// Address of a kernel object; never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object(u64);

impl Object {
    /// The object at `address`, unless that is null.
    #[inline(always)]
    pub(crate) fn new(address: u64) -> Option<Self> {
        (address != 0).then_some(Self(address))
    }

    /// Address of the member at `offset`.
    #[inline(always)]
    pub(crate) fn at(self, offset: u32) -> u64 {
        self.0.wrapping_add(u64::from(offset))
    }

    /// The member at `offset`; `None` (counted) when the read faults.
    #[inline(always)]
    pub(crate) fn read<T>(self, offset: u32) -> Option<T> {
        read_at(self.at(offset))
    }

    /// As [`Self::read`], by a plain load, which costs a twentieth. Only for objects that came with the context of a typed
    /// program or were loaded from one: the verifier knows their type, checks the member at `offset` against it, and makes
    /// a load that faults return 0.
    #[inline(always)]
    pub(crate) fn load<T: Copy>(self, offset: u32) -> T {
        // SAFETY: see above; a program that loads from anything else is refused.
        unsafe { *(self.at(offset) as *const T) }
    }

    /// The object that the pointer at `offset` points to, by [`Self::load`].
    #[inline(always)]
    pub(crate) fn load_object(self, offset: u32) -> Option<Self> {
        Self::new(self.load(offset))
    }

    /// The object that the pointer at `offset` points to.
    #[inline(always)]
    pub(crate) fn follow(self, offset: u32) -> Option<Self> {
        Self::new(self.read(offset)?)
    }
}

/// Reads kernel memory; `None` (counted) when that faults.
#[inline(always)]
pub(crate) fn read_at<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails instead of faulting.
    let value = unsafe { bpf_probe_read_kernel(address as *const T) };
    if value.is_err() {
        count(Counter::ReadFaults);
    }
    value.ok()
}
