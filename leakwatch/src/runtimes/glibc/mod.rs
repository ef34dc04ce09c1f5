//! The heap of glibc's `malloc`: what is in use and what is free, by size, and the C++ classes of what is in it.
//!
//! No symbols are needed: `[heap]` begins with a chunk, and heaps of other arenas are known by what stands in them. Chunks
//! that wait in a thread's cache or in a fastbin to be used again look like those in use, and count as such: a few hundred
//! a thread.

#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod heaps;
mod layout;
mod tally;
mod vtables;
mod walk;

use self::{heaps::Heaps, layout::Layout, tally::Tally, walk::Broken};
use super::{Runtime, Unknown, memory::Memory, target::Target};
use crate::model::{
    census::{Counter, Heap, MAX_ROWS, RuntimeView},
    runtime,
};

/// Sizes that are shown; the other rows are classes.
const MAX_SIZES: usize = MAX_ROWS / 2;

/// glibc's `malloc`.
pub(super) struct Glibc;

impl Runtime for Glibc {
    fn view(&self, target: &Target, memory: &mut Memory) -> Option<RuntimeView> {
        let allocator = target
            .allocator()
            .filter(|allocator| allocator.name == runtime::GLIBC)?;
        let mut view = RuntimeView {
            runtime: allocator.name.to_owned(),
            version: allocator.version.as_deref().map(str::to_owned),
            ..RuntimeView::default()
        };
        if let Err(error) = read(target, memory, &mut view) {
            view.unknown = Some(error.to_string());
        }
        Some(view)
    }
}

fn read(target: &Target, memory: &mut Memory, view: &mut RuntimeView) -> Result<(), Unknown> {
    let version = view.version.clone().unwrap_or_else(|| runtime::GLIBC.to_owned());
    let layout = Layout::of(&version).ok_or(Unknown::Version(version))?;
    let heaps = heaps::find(memory, target.mappings(), layout);
    let files = vtables::read_only(target);
    let mut tally = Tally::new(files.clone());
    let mut broken = None;
    for &region in &heaps.regions {
        let ends_now = |memory: &mut _| heaps::ends_now(memory, region, |start| target.ends_now(start));
        match walk::walk(memory, region, ends_now, |chunk| tally.chunk(chunk)) {
            Ok(ended) => tally.end(ended),
            Err(Broken::Chunk) => broken = Some(Unknown::Layout("a chunk of its heap")),
            Err(Broken::Unreadable(error)) => broken = Some(error.into()),
        }
    }
    view.rows = tally.sizes(MAX_SIZES);
    view.rows.extend(vtables::classes(&tally, &files, memory));
    if broken.is_none() {
        view.heap = heap(&heaps, &tally);
    }
    view.counters = counters(&heaps, &tally);
    broken.map_or(Ok(()), Err)
}

fn heap(heaps: &Heaps, tally: &Tally) -> Heap {
    let heaps_bytes = tally.used.bytes + tally.free.bytes + tally.top;
    Heap {
        committed: Some(heaps_bytes + heaps.mapped_bytes),
        in_use: Some(tally.used.bytes + heaps.mapped_bytes),
        free: Some(tally.free.bytes),
        ..Heap::default()
    }
}

fn counters(heaps: &Heaps, tally: &Tally) -> Vec<Counter> {
    let counters = [
        ("arenas", heaps.arenas),
        ("chunks_in_use", tally.used.count),
        ("chunks_free", tally.free.count),
        ("top_bytes", tally.top),
        ("foreign_bytes", tally.foreign),
        ("mapped_chunks", heaps.mapped),
        ("mapped_bytes", heaps.mapped_bytes),
    ];
    counters
        .into_iter()
        .map(|(name, value)| Counter {
            name: name.to_owned(),
            value,
        })
        .collect()
}
