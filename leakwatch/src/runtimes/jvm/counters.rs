//! What the JVM counts itself, as numbers of a census.

use super::perf_data::PerfData;
use crate::model::census::{Counter, Heap};

/// Names of the census, and of the JVM's counter.
const COUNTERS: &[(&str, &str)] = &[
    ("threads", "java.threads.live"),
    ("threads_daemon", "java.threads.daemon"),
    ("threads_started", "java.threads.started"),
    ("eden_used_bytes", "sun.gc.generation.0.space.0.used"),
    ("young_capacity_bytes", "sun.gc.generation.0.capacity"),
    ("old_used_bytes", "sun.gc.generation.1.space.0.used"),
    ("old_capacity_bytes", "sun.gc.generation.1.capacity"),
    ("metaspace_used_bytes", "sun.gc.metaspace.used"),
    ("metaspace_committed_bytes", "sun.gc.metaspace.capacity"),
    ("young_collections", "sun.gc.collector.0.invocations"),
    ("full_collections", "sun.gc.collector.1.invocations"),
    ("concurrent_pauses", "sun.gc.collector.2.invocations"),
];

/// Every number that is there.
pub(super) fn counters(data: &PerfData) -> Vec<Counter> {
    let counters = COUNTERS.iter().filter_map(|(name, counter)| {
        Some(Counter {
            name: (*name).to_owned(),
            value: data.number(counter)?,
        })
    });
    let mut counters: Vec<_> = counters.collect();
    if let Some(value) = classes(data) {
        let name = "classes_loaded".to_owned();
        counters.push(Counter { name, value });
    }
    counters
}

/// The heap as it was after the last collection: that is when the JVM writes its sizes.
///
/// `live` is the old generation once it has been collected at all: its lowest value between two collections of it is what
/// the program holds, and what is over that may be garbage. G1 collects it after a concurrent cycle, which has two pauses
/// (remark and cleanup).
pub(super) fn heap(data: &PerfData) -> Heap {
    let sum = |names: &[&str]| {
        let numbers = names.iter().filter_map(|name| data.number(name));
        numbers.fold(None, |sum: Option<u64>, number| {
            Some(sum.unwrap_or(0).saturating_add(number))
        })
    };
    let full = data.number("sun.gc.collector.1.invocations");
    let concurrent = data.number("sun.gc.collector.2.invocations").unwrap_or(0) / 2;
    let collections = full.map(|full| full.saturating_add(concurrent));
    let old = data.number("sun.gc.generation.1.space.0.used");
    Heap {
        committed: sum(&["sun.gc.generation.0.capacity", "sun.gc.generation.1.capacity"]),
        in_use: sum(&[
            "sun.gc.generation.0.space.0.used",
            "sun.gc.generation.0.space.1.used",
            "sun.gc.generation.0.space.2.used",
            "sun.gc.generation.1.space.0.used",
        ]),
        live: old.filter(|_| collections.is_some_and(|collections| collections > 0)),
        collections,
        ..Heap::default()
    }
}

/// Classes that are loaded now, those from the shared archive among them.
fn classes(data: &PerfData) -> Option<u64> {
    let number = |name| data.number(name).unwrap_or(0);
    let loaded = data.number("java.cls.loadedClasses")?;
    let loaded = loaded.saturating_add(number("java.cls.sharedLoadedClasses"));
    let unloaded =
        number("java.cls.unloadedClasses").saturating_add(number("java.cls.sharedUnloadedClasses"));
    Some(loaded.saturating_sub(unloaded))
}
