//! Per-CPU memory of the kernel, without its address table.
//!
//! `__per_cpu_offset` is not exported to programs (kallsyms lists data only with CONFIG_KALLSYMS_ALL). But a per-CPU map
//! gives both ends: the per-CPU pointer in `struct bpf_array`, and by `bpf_map_lookup_percpu_elem` (5.19) the address it
//! has on each CPU. The difference is the same for every per-CPU object.

use core::ptr;

use aya_ebpf::helpers::bpf_map_lookup_percpu_elem;

use super::{Object, read_at};
use crate::{
    globals::{offset, setting},
    maps::{PERCPU_ADDRESSES, PERCPU_PROBE},
};

/// CPUs that are summed over; more cannot be (their counts stay approximate).
pub(crate) const MAX_CPUS: u32 = 512;

/// Fills [`PERCPU_ADDRESSES`]. Once per pass of the iterator.
#[inline(always)]
pub(crate) fn locate() {
    let map = (&raw const PERCPU_PROBE).cast_mut().cast();
    for cpu in 0..MAX_CPUS {
        if cpu >= setting!(possible_cpus) {
            break;
        }
        let index = 0u32;
        // SAFETY: `map` is a per-CPU array with a u32 key.
        let value = unsafe { bpf_map_lookup_percpu_elem(map, ptr::from_ref(&index).cast(), cpu) };
        if let Some(address) = PERCPU_ADDRESSES.get_ptr_mut(cpu) {
            // SAFETY: a map value; only this single reader's pass writes it.
            unsafe { *address = value as u64 };
        }
    }
    let Some(slot) = PERCPU_ADDRESSES.get_ptr_mut(MAX_CPUS) else {
        return;
    };
    // The verifier allows no arithmetic on a map's address; read back from a map value it is a plain number.
    // SAFETY: as above.
    let array = unsafe {
        *slot = map as u64;
        slot.read_volatile()
    };
    let pointer = Object::new(array).and_then(|array| array.read::<u64>(offset!(bpf_array_pptrs)));
    // SAFETY: as above.
    unsafe { *slot = pointer.unwrap_or(0) };
}

/// Sum over all CPUs of the `i32` behind a per-CPU pointer.
#[inline(always)]
pub(crate) fn sum_i32(pointer: u64) -> i64 {
    let Some(&origin) = PERCPU_ADDRESSES.get(MAX_CPUS) else {
        return 0;
    };
    let mut sum = 0;
    for cpu in 0..MAX_CPUS {
        if cpu >= setting!(possible_cpus) {
            break;
        }
        if let Some(&address) = PERCPU_ADDRESSES.get(cpu)
            && let Some(part) = read_at::<i32>(pointer.wrapping_add(address.wrapping_sub(origin)))
        {
            sum += i64::from(part);
        }
    }
    sum
}

/// How many pages the kernel's own sum may be off by.
#[inline(always)]
pub(crate) fn error_bound_pages() -> i64 {
    let cpus = i64::from(setting!(possible_cpus));
    cpus * (2 * cpus).max(32)
}
