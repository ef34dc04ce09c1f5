//! Births and deaths, counted at their site.

use core::{arch::asm, hint::black_box};

use aya_ebpf::bindings::BPF_NOEXIST;
use leakwatch_common::{
    counter::Counter,
    kind::Kind,
    site::{OVERFLOW_SITE, Process, SITES_PER_PROCESS, SiteCounts, SiteKey},
};

use crate::{
    counters::count,
    maps::{FREE_SITES, SITE_IDS, SITES},
    stack,
};

/// Who does it, and when.
pub(crate) struct Actor<'a, C> {
    /// The program's context, for its log.
    pub(crate) ctx: &'a C,
    /// Thread group id.
    pub(crate) tgid: u32,
    /// The user stack pointer, or 0.
    pub(crate) sp: u64,
    /// [`crate::clock::now_ns`].
    pub(crate) now_ns: u64,
}

impl<C> Actor<'_, C> {
    /// Takes the stack of the birth of `item`, if it is its turn: the number of the sample, or
    /// [`leakwatch_common::stack::NO_SAMPLE`].
    #[inline(always)]
    pub(crate) fn sample(&self, kind: Kind, item: u64) -> u32 {
        stack::sample(kind, self.tgid, self.sp, self.now_ns, item)
    }

    /// Counts a birth of `bytes` and returns its site.
    #[inline(always)]
    pub(crate) fn birth(&self, process: Option<&mut Process>, kind: Kind, bytes: u64) -> u32 {
        let site = process.map_or(OVERFLOW_SITE, |process| self.site(process, kind));
        if let Some(counts) = SITES.get_ptr_mut(site) {
            // SAFETY: `counts` is a map value; the adds are atomic and the store is a whole word.
            unsafe {
                add(&raw mut (*counts).born, 1);
                if bytes != 0 {
                    add(&raw mut (*counts).bytes, bytes);
                }
                (*counts).last_birth_ns = self.now_ns;
            }
        }
        site
    }

    #[inline(always)]
    fn site(&self, process: &mut Process, kind: Kind) -> u32 {
        // The compiler knows the range of a `Kind` and drops the check that the verifier needs.
        let index = black_box(kind as usize) & (SITES_PER_PROCESS - 1);
        let site = process.sites[index];
        if site != OVERFLOW_SITE {
            return site;
        }
        let site = self.site_of(&SiteKey {
            start_boottime_ns: process.start_boottime_ns,
            exec_id: process.exec_id,
            tgid: self.tgid,
            kind: kind as u32,
            reserved: 0,
        });
        process.sites[index] = site;
        site
    }

    #[inline(always)]
    fn site_of(&self, key: &SiteKey) -> u32 {
        // SAFETY: the value is one word, copied at once.
        if let Some(&site) = unsafe { SITE_IDS.get(key) } {
            return site;
        }
        let Ok(Some(site)) = FREE_SITES.pop() else {
            count(Counter::SitesFull);
            return OVERFLOW_SITE;
        };
        if let Some(counts) = SITES.get_ptr_mut(site) {
            let fresh = SiteCounts {
                key: *key,
                born: 0,
                died: 0,
                bytes: 0,
                lifetime_ns: 0,
                created_ns: self.now_ns,
                last_birth_ns: 0,
            };
            // SAFETY: a map value; nobody else has this index, it was just taken off the free list.
            unsafe { *counts = fresh };
        }
        if SITE_IDS.insert(key, site, u64::from(BPF_NOEXIST)).is_ok() {
            return site;
        }
        // Another CPU made the same site first, or the table is full: this one was not needed.
        if let Some(counts) = SITES.get_ptr_mut(site) {
            // SAFETY: as above.
            unsafe { (*counts).key.tgid = 0 };
        }
        let _ = FREE_SITES.push(site, 0);
        // SAFETY: as above.
        unsafe { SITE_IDS.get(key) }.copied().unwrap_or(OVERFLOW_SITE)
    }
}

/// Counts a death at `site` of what lived for `lifetime_ns`.
#[inline(always)]
pub(crate) fn death(site: u32, lifetime_ns: u64) {
    if let Some(counts) = SITES.get_ptr_mut(site) {
        // SAFETY: `counts` is a map value and the adds are atomic.
        unsafe {
            add(&raw mut (*counts).died, 1);
            add(&raw mut (*counts).lifetime_ns, lifetime_ns);
        }
    }
}

/// # Safety
/// `total` is valid, aligned and only written atomically.
#[inline(always)]
unsafe fn add(total: *mut u64, amount: u64) {
    // `AtomicU64::fetch_add` does not exist for this target, which has no compare-and-swap before 5.12. This is the one
    // atomic instruction that every kernel knows.
    // SAFETY: see above.
    unsafe {
        asm!("lock *(u64 *)({total} + 0) += {amount}", total = in(reg) total, amount = in(reg) amount, options(nostack));
    }
}
