//! Censuses of made-up processes.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;
use crate::model::{
    census::{CensusRow, Heap},
    identity::ProcessId,
};

const SECOND_NS: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

fn row(counted: Counted, name: &str, count: u64, bytes: Option<u64>) -> CensusRow {
    CensusRow {
        counted,
        name: name.to_owned(),
        count,
        bytes,
        oldest_seconds: None,
        frames: Vec::new(),
    }
}

fn census(second: u64, runtime: &str, heap: Heap, rows: Vec<CensusRow>) -> Census {
    Census {
        process: ProcessId {
            pid: 42,
            start_time_ns: 0,
        },
        taken_ns: second * SECOND_NS,
        took_ns: 0,
        read_bytes: 0,
        views: vec![RuntimeView {
            runtime: runtime.to_owned(),
            heap,
            rows,
            ..RuntimeView::default()
        }],
    }
}

fn case(books: &Books, second: u64) -> Vec<(String, f64, String)> {
    let mut case = Case::default();
    books.testify(
        &Stand {
            now_ns: second * SECOND_NS,
            resource: Resource::Memory,
            enough: 1.0,
            overdue: 1.0,
            can_wait: true,
            is_traced: false,
            time_left: 0.0,
        },
        &mut case,
    );
    let evidence = case.into_evidence().into_iter();
    evidence
        .map(|evidence| (evidence.name, evidence.log_odds, evidence.text))
        .collect()
}

fn named<'a>(said: &'a [(String, f64, String)], name: &str) -> Option<&'a (String, f64, String)> {
    said.iter().find(|(of, ..)| of == name)
}

/// Ten sessions a second on a heap where byte arrays come and go.
fn sessions(seconds: u64) -> Books {
    let mut books = Books::default();
    for second in (15..=seconds).step_by(15) {
        let garbage = 10_000 + 7_000 * (second / 15 % 3);
        let rows = vec![
            row(Counted::Class, "[B", garbage, Some(garbage * 1_000)),
            row(
                Counted::Class,
                "java.lang.String",
                10 * second + 5_000,
                Some(400 * second),
            ),
            row(
                Counted::Class,
                "LeakS$Session",
                10 * second,
                Some(100_000 * second),
            ),
        ];
        books.enter(
            &census(second, "java", Heap::default(), rows),
            200 * MIB + 110_000 * second,
        );
    }
    books
}

#[test]
fn the_class_that_grows_at_every_look_is_named_with_its_rate_and_share() {
    let books = sessions(180);
    let holders = books.holders(180 * SECOND_NS, Resource::Memory);
    assert_eq!(holders[0].name, "LeakS$Session");
    assert!((holders[0].rate_per_second - 10.0).abs() < 0.5, "{holders:?}");
    assert!((0.85..0.95).contains(&holders[0].share), "{holders:?}");
    assert!(
        holders
            .iter()
            .skip(1)
            .any(|holder| holder.name == "java.lang.String")
    );
    let said = case(&books, 180);
    let (_, log_odds, text) = named(&said, "holder-grows").unwrap();
    assert_eq!(
        text,
        "LeakS$Session: +10.0/s, more at each of 11 looks in 165 s, 91 % of the growth"
    );
    assert!(
        (0.7..0.8).contains(log_odds),
        "it may be a cache that fills: {log_odds}"
    );
    assert!(books.holders(180 * SECOND_NS, Resource::Thread).is_empty());
}

#[test]
fn growth_alone_says_more_the_longer_it_goes_on_and_never_everything() {
    let weight = |seconds| {
        named(&case(&sessions(seconds), seconds), "holder-grows")
            .unwrap()
            .1
    };
    assert!(weight(300) < weight(1_800));
    assert!(weight(1_800) < weight(7_200));
    assert!(weight(100_000) <= 3.0);
}

#[test]
fn what_waits_since_the_growth_began_is_strong_evidence() {
    let play = |waits: fn(u64) -> f64| {
        let mut books = Books::default();
        for second in (15..=180_u64).step_by(15) {
            let mut spawned = row(Counted::Goroutine, "main.spawn (leak.go:41)", 10 * second, None);
            spawned.oldest_seconds = Some(waits(second));
            let rows = vec![spawned, row(Counted::Goroutine, "main.main", 1, None)];
            books.enter(
                &census(second, "go", Heap::default(), rows),
                50 * MIB + 81_920 * second,
            );
        }
        let holders = books.holders(180 * SECOND_NS, Resource::Memory);
        assert_eq!(holders[0].name, "main.spawn (leak.go:41)");
        named(&case(&books, 180), "waits-since").is_some()
    };
    assert!(play(|second| second as f64));
    assert!(!play(|_| 5.0), "each is woken within five seconds");
}

#[test]
fn a_heap_that_expands_around_what_it_holds_is_no_leak() {
    let mut books = Books::default();
    for second in (15..=300_u64).step_by(15) {
        let heap = Heap {
            committed: Some(512 * MIB),
            live: Some(40 * MIB),
            collections: Some(second / 20),
            ..Heap::default()
        };
        books.enter(&census(second, "java", heap, Vec::new()), (60 + second) * MIB);
    }
    assert!(named(&case(&books, 300), "not-live").is_some_and(|said| said.1 < -3.0));
    assert_eq!(
        books.contradicts(300 * SECOND_NS, Resource::Memory),
        Some(Class::SawTooth)
    );
    assert_eq!(books.contradicts(300 * SECOND_NS, Resource::Thread), None);
}

#[test]
fn without_a_collection_the_live_heap_says_nothing() {
    let mut books = Books::default();
    for second in (15..=300_u64).step_by(15) {
        let heap = Heap {
            committed: Some(512 * MIB),
            live: Some(40 * MIB),
            collections: Some(1),
            ..Heap::default()
        };
        books.enter(&census(second, "java", heap, Vec::new()), (60 + second) * MIB);
    }
    assert!(case(&books, 300).is_empty());
}

#[test]
fn what_grows_outside_a_heap_that_stands_still_is_not_excused_by_it() {
    let mut books = Books::default();
    for second in (15..=300_u64).step_by(15) {
        let java = Heap {
            committed: Some(512 * MIB),
            live: Some(40 * MIB),
            collections: Some(second / 20),
            ..Heap::default()
        };
        let glibc = Heap {
            in_use: Some(second * MIB),
            ..Heap::default()
        };
        let mut both = census(second, "java", java, Vec::new());
        both.views
            .extend(census(second, "glibc", glibc, Vec::new()).views);
        books.enter(&both, (60 + second) * MIB);
    }
    assert!(case(&books, 300).is_empty());
}

#[test]
fn a_live_heap_that_rises_after_every_collection_is_not_garbage() {
    let mut books = Books::default();
    for second in (15..=300_u64).step_by(15) {
        let heap = Heap {
            committed: Some(512 * MIB),
            live: Some((40 + second) * MIB),
            collections: Some(second / 20),
            ..Heap::default()
        };
        books.enter(&census(second, "java", heap, Vec::new()), (60 + second) * MIB);
    }
    assert!(named(&case(&books, 300), "kept-after-collection").is_some_and(|said| said.1 > 0.0));
}

#[test]
fn free_memory_that_piles_up_in_the_allocator_is_fragmentation() {
    let mut books = Books::default();
    for second in (15..=300_u64).step_by(15) {
        let heap = Heap {
            in_use: Some(40 * MIB),
            free: Some(second * MIB),
            ..Heap::default()
        };
        books.enter(&census(second, "glibc", heap, Vec::new()), (60 + second) * MIB);
    }
    assert!(named(&case(&books, 300), "free-inside").is_some_and(|said| said.1 < -3.0));
    assert_eq!(
        books.contradicts(300 * SECOND_NS, Resource::Memory),
        Some(Class::Fragmentation)
    );
}

#[test]
fn an_old_census_says_nothing_any_more() {
    let books = sessions(180);
    assert!(!case(&books, 180 + 1_700).is_empty());
    assert!(case(&books, 180 + 1_900).is_empty());
    assert!(
        books
            .holders((180 + 1_900) * SECOND_NS, Resource::Memory)
            .is_empty()
    );
}

#[test]
fn what_is_not_in_a_whole_list_is_gone_and_in_a_cut_one_unknown() {
    let many = |name: &str| -> Vec<CensusRow> {
        let other = |index| row(Counted::Class, &format!("Other{index}"), 1, Some(1));
        let mut rows: Vec<CensusRow> = (1..MAX_ROWS).map(other).collect();
        rows.push(row(Counted::Class, name, 10, Some(10)));
        rows
    };
    let heap = Heap::default();
    let mut books = Books::default();
    books.enter(
        &census(10, "java", heap, vec![row(Counted::Class, "A", 5, Some(5))]),
        0,
    );
    books.enter(&census(20, "java", heap, many("B")), 0);
    let a = books.rows.iter().find(|row| &*row.name == "A").unwrap();
    assert_eq!(a.count.last(), None);
    books.enter(&census(30, "java", heap, Vec::new()), 0);
    let a = books.rows.iter().find(|row| &*row.name == "A").unwrap();
    assert_eq!(a.count.last(), Some(0));
}

/// Bytes that the books take, those of the allocator aside.
fn bytes(books: &Books) -> usize {
    let name = |name: &str| name.len();
    let of_found = |found: &Found| size_of::<Found>() + found.holder.name.len() + found.holder.runtime.len();
    let views = books
        .views
        .iter()
        .map(|view| size_of::<View>() + name(&view.runtime) + 5 * Rungs::MOST_BYTES);
    let rows = books
        .rows
        .iter()
        .map(|row| size_of::<Row>() + name(&row.runtime) + name(&row.name) + 2 * Rungs::MOST_BYTES);
    let found = books
        .said
        .of_memory
        .iter()
        .chain(&books.said.of_threads)
        .map(of_found);
    size_of::<Books>() + views.chain(rows).chain(found).sum::<usize>()
}

fn any_row() -> impl Strategy<Value = CensusRow> {
    let counted = prop_oneof![
        Just(Counted::Goroutine),
        Just(Counted::Class),
        Just(Counted::ThreadPool),
        Just(Counted::SizeClass)
    ];
    (
        counted,
        "\\PC{0,300}",
        any::<u64>(),
        any::<Option<u64>>(),
        any::<Option<f64>>(),
    )
        .prop_map(|(counted, name, count, bytes, oldest)| CensusRow {
            oldest_seconds: oldest,
            ..row(counted, &name, count, bytes)
        })
}

fn any_census() -> impl Strategy<Value = (Census, u64)> {
    let heap = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>());
    let rows = prop::collection::vec(any_row(), 0..80);
    (0..1_000_u64, "[a-f]{1,2}", heap, rows, any::<u64>()).prop_map(
        |(second, runtime, (live, free, collections), rows, memory)| {
            let heap = Heap {
                live,
                free,
                collections,
                committed: live,
                ..Heap::default()
            };
            (census(second, &runtime, heap, rows), memory)
        },
    )
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_comes_in_whatever_order_the_books_are_bounded_and_say_sound_things(
        censuses in prop::collection::vec(any_census(), 1..40)
    ) {
        let mut books = Books::default();
        let mut newest = 0;
        for (census, memory) in &censuses {
            let before = books.clone();
            books.enter(census, *memory);
            if census.taken_ns <= newest {
                assert_eq!(format!("{books:?}"), format!("{before:?}"), "an old one changes nothing");
            }
            newest = newest.max(census.taken_ns);
            assert!(bytes(&books) <= MAX_BYTES, "{} bytes", bytes(&books));
        }
        let second = newest / SECOND_NS;
        for (name, log_odds, _) in case(&books, second) {
            assert!(log_odds.is_finite(), "{name}");
        }
        for resource in Resource::ALL {
            let holders = books.holders(newest, resource);
            assert!(holders.len() <= 5);
            for holder in holders {
                assert!((0.0..=1.0).contains(&holder.share) && holder.rate_per_second.is_finite());
                assert_eq!(holder.counted.resource(), resource);
            }
        }
    }
}
