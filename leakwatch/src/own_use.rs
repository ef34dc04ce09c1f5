//! What leakwatch itself consumes.

use std::fs;

/// Freed blocks of so many bytes go back to the kernel at once; what censuses read into is smaller, and used again.
const MAPPED_FROM: libc::c_int = 512 << 10;
/// Arenas of `malloc`: one for the pipeline and one for those who read files and memory beside it.
const ARENAS: libc::c_int = 2;

/// Has large freed blocks go back to the kernel; to be called before threads are started that allocate.
///
/// glibc keeps more the more it once had: after a large block was freed, blocks up to its size come out of the heap, and twice
/// as much stays free at the end of each (mallopt(3), `M_MMAP_THRESHOLD`), in as many heaps as there are threads. Symbol tables
/// are large blocks, so an agent would keep hundreds of megabytes that it does not use.
#[cfg(target_env = "gnu")]
pub(crate) fn bound_freed_memory() {
    for (parameter, value) in [(libc::M_MMAP_THRESHOLD, MAPPED_FROM), (libc::M_ARENA_MAX, ARENAS)] {
        // SAFETY: it takes two numbers, and a lock against others that allocate. What it refuses stays as it was.
        let _accepted = unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives the kernel every page that lies in freed blocks, some milliseconds for a hundred megabytes of heap: what lasts is
/// strewn among what does not, and a heap ends only behind it.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back_freed_memory() {
    // SAFETY: it takes a number, and the locks of the arenas.
    let _given_back = unsafe { libc::malloc_trim(0) };
}

/// Other libraries' `malloc` gives back by itself.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn bound_freed_memory() {}

/// As of [`bound_freed_memory`].
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back_freed_memory() {}

/// Processor time used so far, user and system, seconds.
pub(crate) fn cpu_seconds() -> f64 {
    // SAFETY: `getrusage` fills the struct it is given; all zeroes is a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Resident memory, bytes; 0 when `/proc` is not there.
pub(crate) fn rss_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
