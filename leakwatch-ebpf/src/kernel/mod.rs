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
