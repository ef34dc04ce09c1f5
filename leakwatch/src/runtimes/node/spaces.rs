//! The spaces of V8's heaps, from the headers of their pages. A page belongs to a space that its header points to, and which
//! one that is says the table of virtual functions at its beginning, a symbol of the binary.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    model::census::{CensusRow, Counted, Heap},
    runtimes::{binary::Binary, memory::Memory, target::Target},
    v8::page::{ALIGNMENT, Generation, Page, PageLayout},
};

/// Most pages that are looked at: 16 GiB of them.
const MAX_PAGES: usize = 64 << 10;
/// Places where a page may begin that are looked at: 1 TiB of them.
const MAX_PLACES: u32 = 1 << 22;
/// Spaces of V8 by class, and what node's own documentation calls them (`v8.getHeapSpaceStatistics`).
const NAMES: &[(&str, &str)] = &[
    ("CodeLargeObjectSpace", "code_large_object_space"),
    ("CodeSpace", "code_space"),
    ("MapSpace", "map_space"),
    ("NewLargeObjectSpace", "new_large_object_space"),
    ("OldLargeObjectSpace", "large_object_space"),
    ("OldSpace", "old_space"),
    ("PagedNewSpace", "new_space"),
    ("PagedSpaceForNewSpace", "new_space"),
    ("ReadOnlySpace", "read_only_space"),
    ("SemiSpace", "new_space"),
    ("SharedLargeObjectSpace", "shared_large_object_space"),
    ("SharedSpace", "shared_space"),
    ("TrustedLargeObjectSpace", "trusted_large_object_space"),
    ("TrustedSpace", "trusted_space"),
];
/// How the linker names a table of virtual functions in `v8::internal`: then come the length of a name and the name.
const VTABLE: &[u8] = b"_ZTVN2v88internal";
/// A pointer to such a table points behind two words of it (Itanium C++ ABI, 2.5.2).
const VTABLE_HEADER: u64 = 16;
/// Those whose objects are counted by class: what a program made and what outlived a collection.
const WALKED: &[&str] = &["large_object_space", "old_space"];

/// All pages of V8's in a process, with their addresses.
pub(super) fn pages(target: &Target, layout: PageLayout, memory: &mut Memory) -> Vec<(u64, Page)> {
    let mut pages = Vec::new();
    let mut places = 0;
    let may_hold = |start: u64, end: u64| start.is_multiple_of(ALIGNMENT) && end - start >= 4096;
    for mapping in target.mappings() {
        let is_heap = mapping.is_anonymous() && mapping.readable && mapping.name.is_empty();
        if !is_heap || !may_hold(mapping.start, mapping.end) {
            continue;
        }
        let mut at = mapping.start;
        while at < mapping.end && pages.len() < MAX_PAGES && places < MAX_PLACES {
            places += 1;
            let page = memory
                .is_touched(at)
                .then(|| Page::read(layout, at, memory))
                .flatten();
            let size = page.map_or(ALIGNMENT, |page| page.size.next_multiple_of(ALIGNMENT));
            pages.extend(page.map(|page| (at, page)));
            at = at.saturating_add(size);
        }
    }
    pages
}

/// What is in which space.
pub(super) struct Spaces {
    /// By the first word of a space.
    names: HashMap<u64, &'static str>,
    /// Pages, bytes of address space, and bytes in use, by the name of a space.
    totals: BTreeMap<&'static str, Total>,
    heaps: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    pages: u64,
    size: u64,
    allocated: u64,
}

impl Spaces {
    /// Sorts the pages; those whose space is not known are no pages.
    pub(super) fn of(binary: &Binary, pages: &[(u64, Page)]) -> Self {
        let tables = binary.symbols().filter_map(|symbol| {
            let name = space(symbol.name)?;
            Some((symbol.address.wrapping_add(VTABLE_HEADER), name))
        });
        let mut spaces = Self {
            names: tables.collect(),
            totals: BTreeMap::new(),
            heaps: BTreeSet::new(),
        };
        for (_, page) in pages {
            let Some(&name) = spaces.names.get(&page.space) else {
                continue;
            };
            spaces.heaps.insert(page.heap);
            let total = spaces.totals.entry(name).or_default();
            total.pages += 1;
            total.size += page.size;
            if page.generation != Generation::Emptied {
                total.allocated += page.allocated;
            }
        }
        spaces
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heaps.is_empty()
    }

    pub(super) fn isolates(&self) -> u64 {
        self.heaps.len() as u64
    }

    /// Whether a page's objects are counted by class.
    pub(super) fn is_walked(&self, page: &Page) -> bool {
        let name = self.names.get(&page.space);
        name.is_some_and(|name| WALKED.contains(name))
    }

    pub(super) fn heap(&self) -> Heap {
        let sum = |of: fn(&Total) -> u64| self.totals.values().map(of).sum::<u64>();
        let (committed, in_use) = (sum(|total| total.size), sum(|total| total.allocated));
        Heap {
            committed: Some(committed),
            in_use: Some(in_use),
            free: Some(committed.saturating_sub(in_use)),
            ..Heap::default()
        }
    }

    /// One for each space: how many pages it has, and what of them is in use.
    pub(super) fn rows(&self) -> Vec<CensusRow> {
        let row = |(name, total): (&&str, &Total)| {
            CensusRow::of(Counted::HeapSpace, *name, total.pages, Some(total.allocated))
        };
        self.totals.iter().map(row).collect()
    }
}

/// The space whose class has the table of virtual functions with this symbol.
fn space(symbol: &[u8]) -> Option<&'static str> {
    let name = str::from_utf8(symbol.strip_prefix(VTABLE)?).ok()?;
    let digits = name.find(|c: char| !c.is_ascii_digit())?;
    let class = name[digits..].strip_suffix('E')?;
    let is_whole = name[..digits].parse() == Ok(class.len());
    let found = NAMES.iter().find(|(known, _)| is_whole && *known == class);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::space;

    #[test]
    fn spaces_by_symbol() {
        assert_eq!(space(b"_ZTVN2v88internal8OldSpaceE"), Some("old_space"));
        assert_eq!(space(b"_ZTVN2v88internal9SemiSpaceE"), Some("new_space"));
        for other in [
            &b"_ZTVN2v88internal9OldSpaceE"[..],
            b"_ZTVN2v88internal8OldSpace",
            b"_ZTVN2v88internal4HeapE",
            b"_ZTVN2v88internal",
            b"_ZTVN2v88internal\xff",
        ] {
            assert_eq!(space(other), None);
        }
    }
}
