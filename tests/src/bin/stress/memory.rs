//! Mappings: taken, split from every side, moved, replaced and given back.

use std::ptr;

use crate::rng::Rng;

const PAGE: usize = 4096;

/// Mappings that one thread holds at most, parts of split ones included.
const REGIONS: usize = 48;

/// Pages of one mapping, at most.
const PAGES: usize = 64;

#[derive(Clone, Copy)]
struct Region {
    address: usize,
    pages: usize,
    writable: bool,
    /// Inside one mapping of the kernel's: never replaced or protected in part.
    whole: bool,
    /// Shared, in whole: the object behind it does not grow with it.
    shared: bool,
}

/// The mappings of one thread.
pub(crate) struct Memory {
    regions: Vec<Region>,
    /// Whether a hole stays a hole until this thread fills it: not so when another thread may map into it.
    alone: bool,
}

impl Memory {
    /// `alone`: the calling thread is the only one of its process.
    pub(crate) fn new(alone: bool) -> Self {
        Self {
            regions: Vec::with_capacity(REGIONS + 1),
            alone,
        }
    }

    /// Does one random thing.
    pub(crate) fn any(&mut self, rng: &mut Rng) {
        if self.regions.len() < 2 || (self.regions.len() < REGIONS && rng.one_in(3)) {
            return self.map(rng);
        }
        let index = rng.below(self.regions.len());
        match rng.below(12) {
            0 => self.unmap_head(index, rng),
            1 => self.unmap_middle(index, rng),
            2 => self.unmap_tail(index, rng),
            3 | 4 => self.unmap_several(rng),
            5 => self.remap(index, rng),
            6 => self.move_onto_reserve(index),
            7 => self.replace(index, rng),
            8 => self.advise(index, rng),
            9 => self.protect(index, rng),
            10 => self.touch(index, rng),
            _ => {
                let region = self.regions.swap_remove(index);
                unmap(region.address, region.pages);
            }
        }
    }

    fn map(&mut self, rng: &mut Rng) {
        let pages = 1 + rng.below(PAGES);
        let (protection, flags) = match rng.below(6) {
            // An address range that is only reserved.
            0 => (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_NORESERVE),
            // Not anonymous in the kernel's eyes: backed by shmem.
            1 => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
            2 => (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_POPULATE,
            ),
            _ => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        };
        if let Some(address) = map(0, pages, protection, flags) {
            self.regions.push(Region {
                address,
                pages,
                writable: protection & libc::PROT_WRITE != 0,
                whole: true,
                shared: flags & libc::MAP_SHARED != 0,
            });
        }
    }

    fn unmap_head(&mut self, index: usize, rng: &mut Rng) {
        let region = &mut self.regions[index];
        if region.pages > 1 {
            let pages = 1 + rng.below(region.pages - 1);
            unmap(region.address, pages);
            region.address += pages * PAGE;
            region.pages -= pages;
        }
    }

    fn unmap_tail(&mut self, index: usize, rng: &mut Rng) {
        let region = &mut self.regions[index];
        if region.pages > 1 {
            let kept = 1 + rng.below(region.pages - 1);
            unmap(region.address + kept * PAGE, region.pages - kept);
            region.pages = kept;
        }
    }

    fn unmap_middle(&mut self, index: usize, rng: &mut Rng) {
        let region = self.regions[index];
        if region.pages < 3 || self.regions.len() >= REGIONS {
            return;
        }
        let head = 1 + rng.below(region.pages - 2);
        let hole = 1 + rng.below(region.pages - head - 1);
        unmap(region.address + head * PAGE, hole);
        self.regions[index].pages = head;
        self.regions.push(Region {
            address: region.address + (head + hole) * PAGE,
            pages: region.pages - head - hole,
            ..region
        });
    }

    /// One `munmap` over several mappings and, where that is safe, the holes between them.
    fn unmap_several(&mut self, rng: &mut Rng) {
        let Some(address) = map(0, PAGES, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_NORESERVE) else {
            return;
        };
        // Every other piece has another protection or is gone, so that the kernel cannot merge them.
        for piece in 0..8 {
            let start = address + piece * (PAGES / 8) * PAGE;
            match rng.below(4) {
                0 if self.alone => unmap(start, PAGES / 8),
                1 => drop(map(
                    start,
                    PAGES / 8,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_FIXED,
                )),
                2 => drop(map(
                    start,
                    PAGES / 8,
                    libc::PROT_READ,
                    libc::MAP_SHARED | libc::MAP_FIXED,
                )),
                _ => {}
            }
        }
        if rng.one_in(16) && self.regions.len() < REGIONS {
            // Some of it stays, and is whole again once mapped over.
            if map(
                address,
                PAGES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
            )
            .is_some()
            {
                self.regions.push(Region {
                    address,
                    pages: PAGES,
                    writable: true,
                    whole: true,
                    shared: false,
                });
            }
        } else {
            unmap(address, PAGES);
        }
    }

    fn remap(&mut self, index: usize, rng: &mut Rng) {
        let pages = 1 + rng.below(PAGES);
        let region = &mut self.regions[index];
        // SAFETY: the region is this thread's own and nothing refers into it.
        let address = unsafe {
            libc::mremap(
                region.address as *mut _,
                region.pages * PAGE,
                pages * PAGE,
                libc::MREMAP_MAYMOVE,
            )
        };
        // Fails, and changes nothing, over pieces of unlike protection.
        if address != libc::MAP_FAILED {
            region.address = address as usize;
            // A page behind the end of a shared object cannot be touched (SIGBUS).
            region.writable &= pages <= region.pages || (region.whole && !region.shared);
            region.pages = pages;
        }
    }

    fn move_onto_reserve(&mut self, index: usize) {
        let region = &mut self.regions[index];
        // A failed move may have unmapped the target, and another thread may have mapped there: only what cannot fail.
        if !region.whole {
            return;
        }
        let Some(target) = map(0, region.pages, libc::PROT_NONE, libc::MAP_PRIVATE) else {
            return;
        };
        let length = region.pages * PAGE;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the source is this thread's own, nothing refers into it, and the target was mapped for this.
        let moved =
            unsafe { libc::mremap(region.address as *mut _, length, length, flags, target as *mut u8) };
        if moved != libc::MAP_FAILED {
            region.address = target;
        }
    }

    /// `MAP_FIXED` over a part of an existing mapping.
    fn replace(&mut self, index: usize, rng: &mut Rng) {
        let region = &mut self.regions[index];
        region.whole = false;
        let offset = rng.below(region.pages);
        let pages = 1 + rng.below(region.pages - offset);
        let shared = if rng.one_in(3) {
            libc::MAP_SHARED
        } else {
            libc::MAP_PRIVATE
        };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        map(
            region.address + offset * PAGE,
            pages,
            protection,
            shared | libc::MAP_FIXED,
        );
    }

    fn advise(&mut self, index: usize, rng: &mut Rng) {
        let region = self.regions[index];
        let advice = if rng.one_in(2) {
            libc::MADV_DONTNEED
        } else {
            libc::MADV_FREE
        };
        // SAFETY: the region is this thread's own and nothing relies on what is in it.
        unsafe {
            libc::madvise(
                region.address as *mut _,
                (1 + rng.below(region.pages)) * PAGE,
                advice,
            )
        };
    }

    fn protect(&mut self, index: usize, rng: &mut Rng) {
        let region = &mut self.regions[index];
        region.whole = false;
        // Splits the mapping in two; reading stays allowed, and writing is given back where it was.
        let writable = if region.writable { libc::PROT_WRITE } else { 0 };
        let flags = libc::PROT_READ | writable | if rng.one_in(2) { libc::PROT_EXEC } else { 0 };
        // SAFETY: the region is this thread's own; no protection that `touch` needs is taken away.
        unsafe {
            libc::mprotect(
                region.address as *mut _,
                (1 + rng.below(region.pages)) * PAGE,
                flags,
            )
        };
    }

    fn touch(&self, index: usize, rng: &mut Rng) {
        let region = &self.regions[index];
        if region.writable {
            let page = region.address + rng.below(region.pages) * PAGE;
            // SAFETY: inside a region of this thread's own that is writable throughout.
            unsafe { (page as *mut u8).write_volatile(1) };
        }
    }
}

/// `mmap` without a file. With `MAP_FIXED` only ever over what the calling thread mapped itself.
fn map(address: usize, pages: usize, protection: i32, flags: i32) -> Option<usize> {
    // SAFETY: a fresh address, or one inside the caller's own mapping, into which nothing refers.
    let mapped = unsafe {
        libc::mmap(
            address as *mut _,
            pages * PAGE,
            protection,
            flags | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    (mapped != libc::MAP_FAILED && !ptr::eq(mapped, ptr::null())).then_some(mapped as usize)
}

fn unmap(address: usize, pages: usize) {
    // SAFETY: the range is the calling thread's own and nothing refers into it.
    unsafe { libc::munmap(address as *mut _, pages * PAGE) };
}
