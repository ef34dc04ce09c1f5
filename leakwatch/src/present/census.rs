//! What a runtime has on its books, in words: the same on the screen and in every report.

use super::units;
use crate::model::census::{Counted, RuntimeView};

/// `java 21.0.2`.
pub fn title(view: &RuntimeView) -> String {
    match &view.version {
        Some(version) => format!("{} {version}", view.runtime),
        None => view.runtime.clone(),
    }
}

/// Label and value of each number that is known.
pub fn numbers(view: &RuntimeView) -> Vec<(String, String)> {
    let heap = &view.heap;
    let of_heap = [
        ("live", heap.live),
        ("in use", heap.in_use),
        ("free", heap.free),
        ("committed", heap.committed),
        ("reserved", heap.reserved),
    ];
    let bytes = of_heap
        .into_iter()
        .filter_map(|(label, bytes)| Some((label.to_owned(), units::bytes(bytes?))));
    let collections = heap
        .collections
        .map(|count| ("collections".to_owned(), units::count(count)));
    let counters = view.counters.iter().map(|counter| {
        let (name, value) = match counter.name.strip_suffix("_bytes") {
            Some(name) => (name, units::bytes(counter.value)),
            None => (counter.name.as_str(), units::count(counter.value)),
        };
        (name.replace('_', " "), value)
    });
    bytes.chain(collections).chain(counters).collect()
}

/// How many there are, and what they take: `4012, 1.53 MiB`.
pub fn amount(count: u64, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{}, {}", units::count(count), units::bytes(bytes)),
        None => units::count(count),
    }
}

/// What they are: `LeakS$Session objects`, `main.spawn (leak.go:41) goroutines`.
pub fn things(counted: Counted, name: &str) -> String {
    match counted {
        Counted::Goroutine => format!("{name} goroutines"),
        Counted::AllocationSite => format!("objects made by {name}"),
        Counted::Class | Counted::Type => format!("{name} objects"),
        Counted::ThreadPool => format!("{name} threads"),
        Counted::HeapSpace => format!("{name} of the heap"),
        // It says already what they are.
        Counted::SizeClass => name.to_owned(),
        Counted::BeamProcess => format!("{name} processes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::census::Counter;

    #[test]
    fn what_is_counted_in_bytes_is_shown_in_bytes() {
        let counter = |name: &str, value| Counter {
            name: name.to_owned(),
            value,
        };
        let view = RuntimeView {
            counters: vec![
                counter("old_used_bytes", 60_500_000),
                counter("chunks_in_use", 1_320_000),
            ],
            ..RuntimeView::default()
        };
        let said = numbers(&view);
        let said: Vec<_> = said
            .iter()
            .map(|(label, value)| (label.as_str(), value.as_str()))
            .collect();
        assert_eq!(said, [("old used", "57.7 MiB"), ("chunks in use", "1.32M")]);
    }

    #[test]
    fn every_kind_of_thing_has_words() {
        let all = [
            Counted::Goroutine,
            Counted::AllocationSite,
            Counted::Class,
            Counted::ThreadPool,
            Counted::HeapSpace,
            Counted::SizeClass,
            Counted::BeamProcess,
        ];
        let said: std::collections::BTreeSet<String> =
            all.iter().map(|counted| things(*counted, "x")).collect();
        assert_eq!(said.len(), all.len());
    }
}
