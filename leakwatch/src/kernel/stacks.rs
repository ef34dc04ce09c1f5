//! The table of stacks.

use std::collections::HashSet;

use aya::{
    Ebpf,
    maps::{MapData, StackTraceMap},
};
use leakwatch_common::site::NO_STACK;

use super::error::KernelError;

pub(super) struct Stacks {
    map: StackTraceMap<MapData>,
    /// Unused when last swept: a stack is removed only when it was unused twice, because a site that is just being made
    /// holds its stack before it shows in the site table.
    unused: HashSet<u32>,
    sweeps: u32,
}

/// A sweep walks all keys, two system calls each, so it is done every so many calls only.
const CALLS_PER_SWEEP: u32 = 30;

impl Stacks {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map("STACKS").ok_or(KernelError::NoMap("STACKS"))?;
        let map = StackTraceMap::try_from(map).map_err(|source| KernelError::Map {
            map: "STACKS",
            source,
        })?;
        Ok(Self {
            map,
            unused: HashSet::new(),
            sweeps: 0,
        })
    }

    pub(super) fn addresses(&self, id: i32) -> Vec<u64> {
        if id == NO_STACK {
            return Vec::new();
        }
        let stack = self.map.get(&id.cast_unsigned(), 0);
        stack.map_or_else(
            |_| Vec::new(),
            |stack| stack.frames().iter().map(|frame| frame.ip).collect(),
        )
    }

    pub(super) fn sweep(&mut self, in_use: &dyn Fn() -> HashSet<i32>) {
        self.sweeps += 1;
        if !self.sweeps.is_multiple_of(CALLS_PER_SWEEP) {
            return;
        }
        let in_use = in_use();
        let unused: HashSet<u32> = self
            .map
            .stack_ids()
            .flatten()
            .filter(|id| !in_use.contains(&id.cast_signed()))
            .collect();
        for id in unused.intersection(&self.unused) {
            // Gone already is as good.
            let _ = self.map.remove(id);
        }
        self.unused = unused;
    }
}
