//! Where threads keep a pointer of their own, seen from what lies around their thread pointers.

use super::memory::Memory;

/// How far from its thread pointer a thread's own variables are looked for, and its thread-specific data: the C library's
/// description of a thread has about 2 KiB, and begins where the pointer leads (glibc and musl on x86-64).
const BELOW: u64 = 4096;
const ABOVE: u64 = 2304;
/// In pieces: what is below or above may not be mapped.
const PIECE: u64 = 256;

/// The distances from a thread pointer at which `value` lies, in ascending order: below 0 thread-local variables, above
/// thread-specific data.
pub(super) fn distances(memory: &mut Memory, thread_pointer: u64, value: u64) -> Vec<i32> {
    let mut distances = Vec::new();
    let start = thread_pointer.wrapping_sub(BELOW);
    for piece in 0..(BELOW + ABOVE) / PIECE {
        let mut bytes = [0; 256];
        if memory
            .read(start.wrapping_add(piece * PIECE), &mut bytes)
            .is_err()
        {
            continue;
        }
        let words = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>);
        let matching = words.enumerate().filter(|(_, word)| *word == value);
        distances.extend(matching.filter_map(|(index, _)| {
            let at = i64::try_from(piece * PIECE + index as u64 * 8).ok()?;
            let distance = i32::try_from(at - BELOW.cast_signed()).ok()?;
            (distance != 0).then_some(distance)
        }));
    }
    distances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_around_a_thread_pointer() {
        let mut block = vec![0_u64; 1024];
        (block[500], block[512], block[515]) = (7, 7, 7);
        let thread_pointer = &raw const block[512] as u64;
        let mut memory = Memory::of_process(std::process::id());
        assert_eq!(distances(&mut memory, thread_pointer, 7), [-96, 24]);
        assert!(distances(&mut memory, 8, 7).is_empty());
    }
}
