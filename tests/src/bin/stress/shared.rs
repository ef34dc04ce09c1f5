//! What all processes of the stress tree share: one anonymous mapping, made before the first fork. Coordination must not
//! use descriptors, because the processes close whatever number they hit.

use std::{
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Processes that stay, at most.
const STAYING: usize = 1024;

/// Pids of exited processes that are remembered.
const EXITED: usize = 512;

#[repr(C)]
pub(crate) struct Shared {
    stop: AtomicU32,
    resting: AtomicU32,
    pub(crate) operations: AtomicU64,
    staying: AtomicU32,
    exited: AtomicU32,
    staying_pids: [AtomicU32; STAYING],
    exited_pids: [AtomicU32; EXITED],
}

impl Shared {
    /// Maps it for this process and all that it will fork.
    pub(crate) fn new() -> rustix::io::Result<&'static Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
        let address =
            unsafe { mmap_anonymous(ptr::null_mut(), size_of::<Self>(), protection, MapFlags::SHARED)? };
        // SAFETY: the mapping is zeroed, page-aligned and large enough; zeroed atomics are valid; it is never unmapped.
        Ok(unsafe { &*address.cast::<Self>() })
    }

    pub(crate) fn stop(&self) {
        self.stop.store(1, Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Relaxed) != 0
    }

    /// Says that one worker changes nothing any more.
    pub(crate) fn rest(&self) {
        self.resting.fetch_add(1, Relaxed);
    }

    /// How many workers said so.
    pub(crate) fn resting(&self) -> u32 {
        self.resting.load(Relaxed)
    }

    /// Remembers a process that stays until the end.
    pub(crate) fn stays(&self, pid: libc::pid_t) {
        let index = self.staying.fetch_add(1, Relaxed) as usize;
        self.staying_pids[index].store(pid.cast_unsigned(), Relaxed);
    }

    /// Remembers a process that exited and was reaped.
    pub(crate) fn exited(&self, pid: libc::pid_t) {
        let index = self.exited.fetch_add(1, Relaxed) as usize % EXITED;
        self.exited_pids[index].store(pid.cast_unsigned(), Relaxed);
    }

    pub(crate) fn staying_pids(&self) -> Vec<u32> {
        self.staying_pids
            .iter()
            .map(|pid| pid.load(Relaxed))
            .filter(|&pid| pid != 0)
            .collect()
    }

    /// The last of those that exited.
    pub(crate) fn exited_pids(&self) -> Vec<u32> {
        self.exited_pids
            .iter()
            .map(|pid| pid.load(Relaxed))
            .filter(|&pid| pid != 0)
            .collect()
    }
}
