//! Which pages of a process are resident.

use std::{fs::File, os::unix::fs::FileExt as _};

/// Bits of an entry (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// The page belongs to a file, or is shared: not what a process keeps for itself.
const FILE_OR_SHARED: u64 = 1 << 61;

/// Those of `pages` (addresses) that hold no anonymous memory any more; empty when that cannot be read.
pub(super) fn not_resident(pid: u32, pages: &[u64]) -> Vec<u64> {
    let Ok(pagemap) = File::open(format!("/proc/{pid}/pagemap")) else {
        return Vec::new();
    };
    let page_bytes = rustix::param::page_size() as u64;
    let is_gone = |&&page: &&u64| {
        let mut entry = [0; 8];
        let read = pagemap.read_exact_at(&mut entry, page / page_bytes * 8);
        let entry = u64::from_ne_bytes(entry);
        read.is_ok() && (entry & (PRESENT | SWAPPED) == 0 || entry & FILE_OR_SHARED != 0)
    };
    pages.iter().filter(is_gone).copied().collect()
}

#[cfg(test)]
mod tests {
    use memmap2::{Advice, MmapMut, UncheckedAdvice};

    use super::*;

    #[test]
    fn a_touched_page_is_resident_until_it_is_given_back() {
        let page = rustix::param::page_size();
        let mut map = MmapMut::map_anon(2 * page).unwrap();
        map.advise(Advice::NoHugePage).unwrap();
        map[0] = 1;
        let start = map.as_ptr() as u64;
        let pages = [start, start + page as u64];
        assert_eq!(not_resident(std::process::id(), &pages), pages[1..]);
        // SAFETY: the range is anonymous and nothing is kept in it.
        unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }.unwrap();
        assert_eq!(not_resident(std::process::id(), &pages), pages);
    }
}
