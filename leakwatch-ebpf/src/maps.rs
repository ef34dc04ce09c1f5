//! Every map. Sizes are the memory budget of docs/overhead.md; the agent may only shrink or grow `FEED`.
//!
//! `NO_PREALLOC` maps take memory as they fill. No `perf_event` program may touch one: kernels before 6.1 refuse that.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf, Stack},
};
use leakwatch_common::{
    allocation::{Control, LiveAllocation, PendingAllocation, Total},
    counter::{Budget, Counter, Spent},
    interpreter::{ImageKey, Interpreter, MAX_INTERPRETERS},
    site::{FdPage, FdPageKey, MAX_SITES, Process, SiteCounts, SiteKey, Thread},
    stack::{CLASSES as CLASS_COUNT, Class, SUSPECT_WORDS, StackBuffer},
};

/// Records, see [`leakwatch_common::record`].
#[map]
pub(crate) static FEED: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Indexed by [`Counter`].
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT as u32, 0);

/// Indexed by [`Budget`].
#[map]
pub(crate) static BUDGETS: PerCpuArray<Spent> = PerCpuArray::with_max_entries(Budget::COUNT as u32, 0);

/// Counts by site, which the agent maps into its memory.
#[map]
pub(crate) static SITES: Array<SiteCounts> = Array::with_max_entries(MAX_SITES, BPF_F_MMAPABLE);

/// Index into [`SITES`] by key.
#[map]
pub(crate) static SITE_IDS: HashMap<SiteKey, u32> = HashMap::with_max_entries(MAX_SITES, BPF_F_NO_PREALLOC);

/// Indices into [`SITES`] that are free; the agent fills it and returns those of ended processes.
#[map]
pub(crate) static FREE_SITES: Stack<u32> = Stack::with_max_entries(MAX_SITES, 0);

/// Processes that took something, by tgid.
#[map]
pub(crate) static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(32_768, BPF_F_NO_PREALLOC);

/// Live descriptors whose birth was seen.
#[map]
pub(crate) static FD_PAGES: HashMap<FdPageKey, FdPage> = HashMap::with_max_entries(32_768, BPF_F_NO_PREALLOC);

/// Stays all zero: what a new page is copied from, because a page is as large as a program's whole stack.
#[map]
pub(crate) static EMPTY_FD_PAGE: Array<FdPage> = Array::with_max_entries(1, 0);

/// Live threads whose birth was seen, by tid.
#[map]
pub(crate) static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Stacks, see [`leakwatch_common::stack`]: apart from [`FEED`], so that neither crowds the other out.
#[map]
pub(crate) static STACK_FEED: RingBuf = RingBuf::with_byte_size(1 << 21, 0);

/// Where each CPU puts a stack together; the agent makes it as long as there are CPUs.
#[map]
pub(crate) static STACK_BUFFERS: Array<StackBuffer> = Array::with_max_entries(1, 0);

/// Turns of births to be sampled.
#[map]
pub(crate) static CLASSES: PerCpuArray<Class> = PerCpuArray::with_max_entries(CLASS_COUNT, 0);

/// Processes of which more stacks are wanted, as a set of bits; the agent writes it.
#[map]
pub(crate) static SUSPECTS: Array<u64> = Array::with_max_entries(SUSPECT_WORDS, 0);

/// How the frames of these processes are found; the agent writes it.
#[map]
pub(crate) static INTERPRETERS: HashMap<ImageKey, Interpreter> =
    HashMap::with_max_entries(MAX_INTERPRETERS, 0);

/// A per-CPU value of no meaning; its addresses tell how far apart the kernel keeps per-CPU memory, see
/// [`crate::kernel::percpu`].
#[map]
pub(crate) static PERCPU_PROBE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// By CPU: address of its [`PERCPU_PROBE`]; at [`crate::kernel::percpu::MAX_CPUS`] the per-CPU pointer itself.
#[map]
pub(crate) static PERCPU_ADDRESSES: Array<u64> =
    Array::with_max_entries(crate::kernel::percpu::MAX_CPUS + 1, 0);

/// Which allocations are followed.
#[map]
pub(crate) static ALLOCATION_CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Indexed by [`Total`].
#[map]
pub(crate) static ALLOCATION_TOTALS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Total::COUNT as u32, 0);

/// Calls, by the address of the instruction that is probed: how often each function is called, before it is traced.
#[map]
pub(crate) static ALLOCATION_CALLS: PerCpuHashMap<u64, u64> = PerCpuHashMap::with_max_entries(1, 0);

/// Calls under way, by thread id. A trace makes this and the next map as large as it needs them. They take their memory at once:
/// kernels before 6.1 warn of uprobes that allocate.
#[map]
pub(crate) static PENDING_ALLOCATIONS: LruHashMap<u32, PendingAllocation> =
    LruHashMap::with_max_entries(1, 0);

/// Live allocations that are followed, by address.
#[map]
pub(crate) static LIVE_ALLOCATIONS: HashMap<u64, LiveAllocation> = HashMap::with_max_entries(1, 0);
