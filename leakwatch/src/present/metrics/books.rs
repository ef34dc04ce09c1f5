//! What the runtimes of a group hold by their own books, as far as they were read.
//!
//! Label values come from lists that are closed: whatever a process and its runtime call things, the series stay bounded.

use std::collections::BTreeMap;

use crate::model::{
    census::{Census, Heap},
    runtime,
};

/// Counters that do.
const COUNTERS: [&str; 11] = [
    "atoms",
    "classes_loaded",
    "ets_tables",
    "goroutines",
    "interpreters",
    "isolates",
    "ports",
    "processes",
    "threads",
    "tracked_objects",
    "workers",
];

/// Sums over the processes of a group whose books were read; `None` where none of them says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) heap: Heap,
    pub(super) counters: BTreeMap<&'static str, u64>,
}

/// By runtime.
pub(super) type BooksByRuntime = BTreeMap<&'static str, Books>;

/// Adds the books of one process.
pub(super) fn add(books: &mut BooksByRuntime, census: &Census) {
    for view in &census.views {
        let Some(runtime) = runtime::WITH_BOOKS.into_iter().find(|name| *name == view.runtime) else {
            continue;
        };
        let sums = books.entry(runtime).or_default();
        sums.add_heap(&view.heap);
        for counter in &view.counters {
            if let Some(name) = COUNTERS.iter().find(|name| **name == counter.name) {
                sums.add_counter(name, counter.value);
            }
        }
    }
}

/// Adds those of a group that gets no series of its own.
pub(super) fn fold(books: &mut BooksByRuntime, more: &BooksByRuntime) {
    for (runtime, more) in more {
        let sums = books.entry(runtime).or_default();
        sums.add_heap(&more.heap);
        for (name, value) in &more.counters {
            sums.add_counter(name, *value);
        }
    }
}

impl Books {
    fn add_heap(&mut self, more: &Heap) {
        let sum = |all: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *all = Some(all.unwrap_or(0).saturating_add(more));
            }
        };
        sum(&mut self.heap.live, more.live);
        sum(&mut self.heap.in_use, more.in_use);
        sum(&mut self.heap.free, more.free);
        sum(&mut self.heap.committed, more.committed);
        sum(&mut self.heap.collections, more.collections);
    }

    fn add_counter(&mut self, name: &'static str, value: u64) {
        let all = self.counters.entry(name).or_default();
        *all = all.saturating_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::census::Counter, present::sample};

    #[test]
    fn sums_are_over_processes_and_what_nobody_says_has_none() {
        let mut books = BooksByRuntime::new();
        let census = sample::census(1);
        add(&mut books, &census);
        add(&mut books, &census);
        let java = &books["java"];
        assert_eq!(java.heap.live, census.views[0].heap.live.map(|live| 2 * live));
        assert_eq!(java.heap.free, None);
        assert_eq!(java.counters["classes_loaded"], 2 * 8_123);
        let mut all = BooksByRuntime::new();
        fold(&mut all, &books);
        assert_eq!(all, books);
    }

    #[test]
    fn names_that_are_not_on_the_lists_make_no_series() {
        let mut census = sample::census(1);
        census.views[1].runtime = "evil{x=\"1\"}".to_owned();
        census.views[0].counters = (0..1_000)
            .map(|number| Counter {
                name: format!("counter_{number}"),
                value: u64::MAX,
            })
            .collect();
        let mut books = BooksByRuntime::new();
        add(&mut books, &census);
        assert_eq!(books.keys().copied().collect::<Vec<_>>(), ["java"]);
        assert!(books["java"].counters.is_empty());
    }
}
