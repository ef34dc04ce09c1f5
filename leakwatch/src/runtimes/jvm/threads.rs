//! The threads that a JVM has on its list (`threads.hpp`, `threadSMR.hpp`).

use super::super::{Unknown, memory::Memory};
use crate::hotspot::vm_structs::VmStructs;

/// More threads than a process has.
const MAX_THREADS: u64 = 1 << 17;

/// The part of each thread's allocation buffer in which it has not made an object yet; in ascending order.
///
/// # Errors
/// When the JVM does not say where they are.
pub(super) fn unused_buffers(structs: &VmStructs, memory: &mut Memory) -> Result<Vec<(u64, u64)>, Unknown> {
    let buffer = structs.offset(&[("Thread", "_tlab")])?;
    let top = buffer + structs.offset(&[("ThreadLocalAllocBuffer", "_top")])?;
    let end = buffer + structs.offset(&[("ThreadLocalAllocBuffer", "_end")])?;
    let mut unused = Vec::new();
    for thread in list(structs, memory)? {
        let bounds = (
            memory.value::<u64>(thread + top)?,
            memory.value::<u64>(thread + end)?,
        );
        if bounds.0 != 0 && bounds.0 < bounds.1 {
            unused.push(bounds);
        }
    }
    unused.sort_unstable();
    Ok(unused)
}

/// Addresses of the `JavaThread`s.
fn list(structs: &VmStructs, memory: &mut Memory) -> Result<Vec<u64>, Unknown> {
    let mut threads = Vec::new();
    let is_thread = |thread: u64| thread != 0 && thread.is_multiple_of(8) && thread < 1 << 56;
    if structs.has(&[("ThreadsSMRSupport", "_java_thread_list")]) {
        let list = structs.address(&[("ThreadsSMRSupport", "_java_thread_list")])?;
        let list = memory.value::<u64>(list)?;
        if !is_thread(list) {
            return Err(Unknown::Layout("its list of threads is not where one can be"));
        }
        let length = memory.value::<u32>(list + structs.offset(&[("ThreadsList", "_length")])?)?;
        let first = memory.value::<u64>(list + structs.offset(&[("ThreadsList", "_threads")])?)?;
        if u64::from(length) > MAX_THREADS || first >= 1 << 56 {
            return Err(Unknown::Layout("a wrong number of threads"));
        }
        for index in 0..u64::from(length) {
            threads.push(memory.cached::<u64>(first + index * 8)?);
        }
    } else {
        let next = structs.offset(&[("JavaThread", "_next")])?;
        let mut thread = memory.value::<u64>(structs.address(&[("Threads", "_thread_list")])?)?;
        while is_thread(thread) {
            threads.push(thread);
            if threads.len() as u64 > MAX_THREADS {
                return Err(Unknown::Layout("its list of threads does not end"));
            }
            thread = memory.value(thread + next)?;
        }
    }
    threads.retain(|&thread| is_thread(thread));
    Ok(threads)
}
