//! The programs of `leakwatch trace`, and the maps that they share with it.

use std::{num::NonZeroU32, path::Path, thread};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap},
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeLink, UProbeScope},
    },
};
use leakwatch_common::allocation::{Control, LiveAllocation, PendingAllocation, Total};

use super::{
    error::KernelError,
    feed::Feed,
    load::{self, LoadOptions, Prepared},
};
use crate::raw::{RawBatch, Source};

/// Functions that are counted at the same time.
const MAX_FUNCTIONS: u32 = 256;
/// Threads that allocate at the same time; of more, those that did not for longest are forgotten.
const MAX_THREADS: u32 = 8192;

/// Size of the ring buffer for stacks, bytes: 400 of them at their longest, which is a second's.
const STACK_RING_BYTES: u32 = 16 << 20;

/// What the kernel side may take.
#[derive(Clone, Copy, Debug)]
pub struct AllocationLimits {
    /// Allocations that can be followed at the same time.
    pub live: u32,
    /// Stacks taken per CPU and second, when more addresses turn out to be followed than was wanted.
    pub stacks_per_second: u32,
}

/// What is to happen when a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationProgram {
    /// Count the call.
    Count,
    /// `malloc(size)`
    Allocate,
    /// `aligned_alloc(alignment, size)`
    AllocateAligned,
    /// `posix_memalign(result, alignment, size)`
    AllocateInto,
    /// `calloc(count, size)`
    AllocateArray,
    /// `realloc(address, size)`
    Reallocate,
    /// `free(address)`
    Deallocate,
    /// The return of what allocates.
    Allocated,
}

impl AllocationProgram {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count_calls",
            Self::Allocate => "allocate",
            Self::AllocateAligned => "allocate_aligned",
            Self::AllocateInto => "allocate_into",
            Self::AllocateArray => "allocate_array",
            Self::Reallocate => "reallocate",
            Self::Deallocate => "deallocate",
            Self::Allocated => "allocated",
        }
    }
}

/// Probes on the allocator of one process. Dropping this takes them out; if leakwatch is killed, the kernel does.
pub struct AllocationProbes {
    attached: Vec<UProbeLink>,
    stacks: Feed,
    control: Array<MapData, Control>,
    totals: PerCpuArray<MapData, u64>,
    calls: PerCpuHashMap<MapData, u64, u64>,
    pending: HashMap<MapData, u32, PendingAllocation>,
    live: HashMap<MapData, u64, LiveAllocation>,
    ebpf: Ebpf,
}

impl AllocationProbes {
    /// Creates the maps; nothing is attached yet.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(limits: AllocationLimits) -> Result<Self, KernelError> {
        let options = LoadOptions {
            // Nothing that sends records is attached.
            ring_bytes: u32::try_from(rustix::param::page_size()).unwrap_or(4096),
            stacks_per_second: limits.stacks_per_second,
            ..LoadOptions::default()
        };
        let sizes = [
            ("ALLOCATION_CALLS", MAX_FUNCTIONS),
            ("PENDING_ALLOCATIONS", MAX_THREADS),
            ("LIVE_ALLOCATIONS", limits.live.max(1)),
            ("STACK_FEED", STACK_RING_BYTES),
        ];
        let Prepared { mut ebpf, .. } = load::prepare(&options, &sizes)?;
        Ok(Self {
            attached: Vec::new(),
            stacks: Feed::open(&mut ebpf, "STACK_FEED", Source::Stacks)?,
            control: open(&mut ebpf, "ALLOCATION_CONTROL")?,
            totals: open(&mut ebpf, "ALLOCATION_TOTALS")?,
            calls: open(&mut ebpf, "ALLOCATION_CALLS")?,
            pending: open(&mut ebpf, "PENDING_ALLOCATIONS")?,
            live: open(&mut ebpf, "LIVE_ALLOCATIONS")?,
            ebpf,
        })
    }

    /// Has `program` run whenever process `pid` is about to execute the instruction at this offset of this file.
    ///
    /// # Errors
    /// When the kernel refuses the program or the probe.
    pub fn attach(
        &mut self,
        program: AllocationProgram,
        file: &Path,
        offset: u64,
        pid: NonZeroU32,
    ) -> Result<(), KernelError> {
        let name = program.name();
        let missing = KernelError::Program(name);
        let probe = self.ebpf.program_mut(name).ok_or(missing)?;
        let probe: &mut UProbe = probe.try_into().map_err(|_| KernelError::Program(name))?;
        let link = match probe.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => {
                let location = UProbeAttachLocation::AbsoluteOffset(offset);
                probe
                    .attach(location, file, UProbeScope::OneProcess(pid))
                    .and_then(|link| probe.take_link(link))
            }
            Err(error) => Err(error),
        };
        self.attached
            .push(link.map_err(|source| KernelError::ProgramCall {
                program: name,
                source,
            })?);
        Ok(())
    }

    /// Takes every probe out.
    pub fn detach(&mut self) {
        take_out(std::mem::take(&mut self.attached));
    }

    /// Follows these addresses from now on.
    ///
    /// # Errors
    /// When the map refuses.
    pub fn follow(&mut self, control: Control) -> Result<(), KernelError> {
        self.control
            .set(0, control, 0)
            .map_err(refused("ALLOCATION_CONTROL"))
    }

    /// Calls of each function that is counted, by the address of the instruction that is probed.
    ///
    /// # Errors
    /// When the map refuses.
    pub fn calls(&self) -> Result<Vec<(u64, u64)>, KernelError> {
        let read = |entry: Result<(u64, aya::maps::PerCpuValues<u64>), MapError>| {
            entry.map(|(address, calls)| (address, calls.iter().sum()))
        };
        self.calls
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(refused("ALLOCATION_CALLS"))
    }

    /// What was counted since loading, by [`Total`].
    ///
    /// # Errors
    /// When the map refuses.
    pub fn totals(&self) -> Result<[u64; Total::COUNT], KernelError> {
        let mut totals = [0; Total::COUNT];
        for (total, &index) in totals.iter_mut().zip(Total::ALL) {
            let values = self.totals.get(&(index as u32), 0);
            *total = values.map_err(refused("ALLOCATION_TOTALS"))?.iter().sum();
        }
        Ok(totals)
    }

    /// The stacks since the last call.
    pub fn stacks(&mut self) -> Option<RawBatch> {
        self.stacks.drain();
        self.stacks.take()
    }

    /// What is followed and not freed.
    ///
    /// # Errors
    /// When the map refuses.
    pub fn live(&self) -> Result<Vec<LiveAllocation>, KernelError> {
        self.live
            .iter()
            .map(|entry| entry.map(|(_, allocation)| allocation))
            .collect::<Result<_, _>>()
            .map_err(refused("LIVE_ALLOCATIONS"))
    }

    /// Forgets calls under way, what is followed, and stacks that wait.
    ///
    /// # Errors
    /// When a map refuses.
    pub fn forget(&mut self) -> Result<(), KernelError> {
        let threads: Vec<u32> = self.pending.keys().filter_map(Result::ok).collect();
        for thread in threads {
            gone(self.pending.remove(&thread)).map_err(refused("PENDING_ALLOCATIONS"))?;
        }
        let addresses: Vec<u64> = self.live.keys().filter_map(Result::ok).collect();
        for address in addresses {
            gone(self.live.remove(&address)).map_err(refused("LIVE_ALLOCATIONS"))?;
        }
        drop(self.stacks());
        Ok(())
    }
}

impl Drop for AllocationProbes {
    fn drop(&mut self) {
        self.detach();
    }
}

/// For each probe the kernel waits until no processor can be in it any more, a tenth of a second; it waits for all at once when
/// they are closed at once.
fn take_out(links: Vec<UProbeLink>) {
    thread::scope(|scope| {
        for link in links {
            // Where no thread can be started, the link is dropped here.
            let _taken_out = thread::Builder::new().spawn_scoped(scope, move || drop(link));
        }
    });
}

/// An entry that somebody else removed is removed.
fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

fn refused(map: &'static str) -> impl Fn(MapError) -> KernelError {
    move |source| KernelError::Map { map, source }
}

fn open<M: TryFrom<aya::maps::Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    map: &'static str,
) -> Result<M, KernelError> {
    let taken = ebpf.take_map(map).ok_or(KernelError::NoMap(map))?;
    M::try_from(taken).map_err(refused(map))
}
