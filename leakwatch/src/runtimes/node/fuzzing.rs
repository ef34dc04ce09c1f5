//! Any bytes, read as V8's metadata and as a page of its heap.

use std::cell::RefCell;

use super::classes::Classes;
use crate::{
    runtimes::memory::Memory,
    v8::{
        inlined,
        metadata::Layout,
        object::Objects,
        page::{ALIGNMENT, Page, PageLayout},
        stated,
    },
};

/// V8 of node 18, 20, 22 and 24.
const VERSIONS: [&str; 4] = ["10.2.154.26", "11.3.244.8", "12.4.254.21", "13.6.233.17"];
const PAGE: usize = 256 << 10;
/// Places of a page that are taken for code in which something was inlined, and bytes between them.
const PLACES: usize = 8;
const PLACES_APART: usize = 1021;

thread_local! {
    /// Memory of this process in which a page lies.
    static MEMORY: RefCell<Vec<u8>> = RefCell::new(vec![0; 2 * PAGE]);
}

/// The first byte chooses the version, the next five change one thing that the binary states; the rest is a page. A small
/// number in it leads to that byte of it.
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let mut values = stated::values();
    let mut names: Vec<String> = values.keys().cloned().collect();
    names.sort();
    let changed = names.get(usize::from(head[1])).cloned();
    if let Some(changed) = changed {
        values.insert(changed, i32::from_le_bytes([head[2], head[3], head[4], head[5]]));
    }
    let Ok(mut layout) = Layout::of(&values) else {
        return;
    };
    let version = VERSIONS[usize::from(head[0]) % VERSIONS.len()];
    layout.version = Some(version.to_owned());
    layout.code = inlined::layout(version);
    let Some(page_layout) = PageLayout::of(&layout) else {
        return;
    };
    MEMORY.with_borrow_mut(|memory| {
        let before = memory.as_ptr().align_offset(PAGE);
        let page = &mut memory[before..before + PAGE];
        page.fill(0);
        let start = page.as_ptr() as u64;
        for (into, word) in page.chunks_exact_mut(8).zip(bytes.chunks_exact(8)) {
            let mut number = [0; 8];
            number.copy_from_slice(word);
            let number = u64::from_le_bytes(number);
            let number = if number < ALIGNMENT {
                start + number
            } else {
                number
            };
            into.copy_from_slice(&number.to_le_bytes());
        }
        walk(start, page_layout, &layout);
    });
}

fn walk(start: u64, page_layout: PageLayout, layout: &Layout) {
    let mut memory = Memory::of_process(std::process::id());
    let mut objects = Objects::new(layout, &mut memory);
    for pc in (start..).step_by(PLACES_APART).take(PLACES) {
        let _ = objects.inlined(pc);
    }
    let Some(page) = Page::read(page_layout, start, &mut memory) else {
        return;
    };
    let mut classes = Classes::new(Objects::new(layout, &mut memory));
    classes.walk(start, &page);
    assert!(classes.covered_percent() <= 100);
    let _ = classes.rows().count();
}
