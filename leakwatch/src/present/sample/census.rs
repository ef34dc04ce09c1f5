//! What the runtimes of the sample process hold.

use crate::model::{
    census::{Census, CensusRow, Counted, Counter, Heap, RuntimeView},
    identity::ProcessId,
};

const MIB: u64 = 1 << 20;

/// Java's books, and those of an allocator that could not be read.
pub(crate) fn census(pid: u32) -> Census {
    Census {
        process: ProcessId {
            pid,
            start_time_ns: u64::from(pid) * 1_000_000_000,
        },
        taken_ns: 9_999_000_000_000,
        took_ns: 310_000_000,
        read_bytes: 365 * MIB,
        views: vec![
            RuntimeView {
                runtime: "java".to_owned(),
                version: Some("21.0.2+13".to_owned()),
                heap: Heap {
                    reserved: Some(2048 * MIB),
                    committed: Some(512 * MIB),
                    in_use: Some(365 * MIB),
                    live: Some(301 * MIB),
                    free: None,
                    collections: Some(7),
                },
                counters: vec![Counter {
                    name: "classes_loaded".to_owned(),
                    value: 8_123,
                }],
                rows: vec![
                    CensusRow::of(Counted::Class, "byte[]", 88_000, Some(8_448_000)),
                    CensusRow::of(Counted::Class, "com.shop.Cache$Entry", 12_400, Some(1_190_400)),
                    CensusRow::of(Counted::ThreadPool, "pool-1-thread", 8, None),
                ],
                unknown: None,
            },
            RuntimeView {
                runtime: "jemalloc".to_owned(),
                unknown: Some("its statistics are not compiled in".to_owned()),
                ..RuntimeView::default()
            },
        ],
    }
}

/// Gives everything that has a name this one.
pub(super) fn name(census: &mut Census, name: &str) {
    for view in &mut census.views {
        name.clone_into(&mut view.runtime);
        view.version = Some(name.to_owned());
        view.unknown = Some(name.to_owned());
        for counter in &mut view.counters {
            name.clone_into(&mut counter.name);
        }
        for row in &mut view.rows {
            name.clone_into(&mut row.name);
        }
    }
}
