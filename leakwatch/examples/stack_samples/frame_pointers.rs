//! The way of the kernel's own stack walk: from frame pointer to frame pointer.

use leakwatch::unwind::Registers;

/// As many as the kernel keeps (`kernel.perf_event_max_stack`).
const MOST: usize = 127;

/// Frames that the chain of frame pointers in `memory`, copied from the stack pointer up, leads through.
pub(crate) fn depth(registers: Registers, memory: &[u8]) -> usize {
    let word = |address: u64| -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(registers.sp)?).ok()?;
        let bytes = memory.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    let (mut frames, mut frame) = (1, registers.fp);
    while frames < MOST {
        let (Some(next), Some(caller)) = (word(frame), word(frame.wrapping_add(8))) else {
            break;
        };
        if caller == 0 {
            break;
        }
        frames += 1;
        // Frames lie one above the other.
        if next <= frame {
            break;
        }
        frame = next;
    }
    frames
}
