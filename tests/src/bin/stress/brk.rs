//! The program break, raised and lowered.

use std::sync::atomic::Ordering::Relaxed;

use crate::{rng::Rng, shared::Shared, worker::pause_forever};

/// How far above its start the break is raised at most.
const RANGE: usize = 4 << 20;

/// Moves the break until told to stop. Nothing here allocates: the allocator would find its own break gone.
pub(crate) fn run(shared: &Shared, mut rng: Rng) -> ! {
    let base = brk(0);
    while !shared.stopped() {
        for _ in 0..64 {
            // Not only whole pages: the kernel keeps the break itself to the byte.
            let wanted = base + rng.below(RANGE);
            let reached = brk(wanted);
            if reached > base && rng.one_in(2) {
                let page = base + (rng.below(reached - base) & !4095);
                // SAFETY: below the break, above what the allocator took, and only this thread moves the break.
                unsafe { (page as *mut u8).write_volatile(1) };
            }
        }
        shared.operations.fetch_add(64, Relaxed);
    }
    shared.rest();
    pause_forever()
}

fn brk(address: usize) -> usize {
    // SAFETY: never lowered below `base`, which is where the allocator left it.
    unsafe { libc::syscall(libc::SYS_brk, address) }.cast_unsigned() as usize
}
