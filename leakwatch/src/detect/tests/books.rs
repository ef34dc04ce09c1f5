//! What censuses do to verdicts.

use super::{
    seconds_until, touch,
    world::{MIB, SECOND_NS, Seen, World},
};
use crate::model::{
    census::{Census, CensusRow, Counted, Heap, RuntimeView},
    finding::{Class, Resource, Verdict},
    runtime,
};

fn row(counted: Counted, name: &str, count: u64, bytes: Option<u64>, oldest: Option<f64>) -> CensusRow {
    CensusRow {
        counted,
        name: name.to_owned(),
        count,
        bytes,
        oldest_seconds: oldest,
        frames: Vec::new(),
    }
}

/// A census of Go now.
fn counted(world: &mut World, heap: Heap, rows: Vec<CensusRow>) {
    counted_by(world, runtime::GO, heap, rows);
}

fn counted_by(world: &mut World, runtime: &str, heap: Heap, rows: Vec<CensusRow>) {
    let census = Census {
        process: world.id,
        taken_ns: world.moment().monotonic_ns,
        took_ns: 0,
        read_bytes: 0,
        views: vec![RuntimeView {
            runtime: runtime.to_owned(),
            heap,
            rows,
            ..RuntimeView::default()
        }],
    };
    world.detection.counted(&census);
}

/// Two MiB a second that stay, and every 15 s a census whose live heap has grown by so much of it.
fn grow(world: &mut World, live: fn(u64) -> u64) {
    grow_by(world, runtime::GO, live);
}

fn grow_by(world: &mut World, runtime: &str, live: fn(u64) -> u64) {
    touch(world, 2);
    if world.second.is_multiple_of(15) {
        let heap = Heap {
            committed: Some(4_096 * MIB),
            live: Some(live(2 * world.second * MIB)),
            collections: Some(world.second / 15),
            ..Heap::default()
        };
        let entries = world.second * 100;
        let rows = vec![row(
            Counted::Class,
            "Entry",
            entries,
            Some(live(entries * 20_000)),
            None,
        )];
        counted_by(world, runtime, heap, rows);
    }
}

#[test]
fn a_cache_that_fills_is_not_accused_by_its_census_within_ten_minutes() {
    let mut world = World::new(600, Seen::Nothing);
    let suspected = seconds_until(&mut world, Verdict::Suspected, 600, Resource::Memory, |world| {
        grow(world, |all| all);
    });
    let judgement = world.judgement(Resource::Memory).unwrap();
    assert_eq!(suspected, None, "{judgement:?}");
    let named = |name: &str| judgement.evidence.iter().any(|evidence| evidence.name == name);
    assert!(
        named("holder-grows") && named("kept-after-collection"),
        "{judgement:?}"
    );
    let holders = world
        .detection
        .holders(world.moment().monotonic_ns, world.id, Resource::Memory);
    assert_eq!(holders[0].name, "Entry");
}

#[test]
fn what_is_kept_for_a_quarter_of_an_hour_and_longer_is_suspected() {
    let mut world = World::new(600, Seen::Nothing);
    let suspected = seconds_until(&mut world, Verdict::Suspected, 1_500, Resource::Memory, |world| {
        grow(world, |all| all);
    });
    assert!(suspected.is_some(), "{:?}", world.judgement(Resource::Memory));
}

#[test]
fn what_a_collector_accesses_is_not_in_use_for_that() {
    let judged = |runtime: &'static str| {
        let mut world = World::new(600, Seen::Touched);
        let until = Verdict::Suspected;
        seconds_until(&mut world, until, 1_500, Resource::Memory, |world| {
            grow_by(world, runtime, |all| all);
        });
        let judgement = world.judgement(Resource::Memory).unwrap();
        let in_use = judgement
            .evidence
            .iter()
            .any(|evidence| evidence.name == "in-use");
        (judgement.verdict, in_use)
    };
    assert_eq!(judged(runtime::GO), (Verdict::Suspected, false));
    assert_eq!(judged(runtime::GLIBC), (Verdict::Growing, true));
}

#[test]
fn a_heap_that_only_expands_is_not_accused_although_its_pages_are_not_used() {
    let mut world = World::new(600, Seen::Stale);
    let leaking = seconds_until(&mut world, Verdict::Leaking, 1_200, Resource::Memory, |world| {
        grow(world, |_| 30 * MIB);
    });
    let judgement = world.judgement(Resource::Memory).unwrap();
    assert_eq!(leaking, None, "{judgement:?}");
    assert!(judgement.verdict < Verdict::Suspected, "{judgement:?}");
    assert!(
        judgement
            .evidence
            .iter()
            .any(|evidence| evidence.name == "not-live")
    );
}

#[test]
fn free_memory_inside_the_allocator_is_called_fragmentation() {
    let mut world = World::new(600, Seen::Nothing);
    for _ in 0..300 {
        touch(&mut world, 2);
        if world.second.is_multiple_of(15) {
            let heap = Heap {
                in_use: Some(30 * MIB),
                free: Some(2 * world.second * MIB),
                ..Heap::default()
            };
            counted(&mut world, heap, Vec::new());
        }
    }
    let judgement = world.judgement(Resource::Memory).unwrap();
    assert_eq!(
        (judgement.class, judgement.verdict),
        (Some(Class::Fragmentation), Verdict::Growing)
    );
}

#[test]
fn goroutines_that_wait_since_they_began_are_suspected_within_minutes() {
    let play = |waits: fn(u64) -> f64| {
        let mut world = World::new(600, Seen::Nothing);
        seconds_until(&mut world, Verdict::Suspected, 600, Resource::Memory, |world| {
            touch(world, 1);
            if world.second.is_multiple_of(15) {
                let waiting = row(
                    Counted::Goroutine,
                    "main.spawn (leak.go:41)",
                    world.second * 100,
                    None,
                    Some(waits(world.second)),
                );
                counted(world, Heap::default(), vec![waiting]);
            }
        })
    };
    let forever = play(|second| second as f64);
    assert!(forever.is_some_and(|seconds| seconds <= 180), "{forever:?}");
    assert_eq!(play(|_| 2.0), None, "each is woken every two seconds");
}

#[test]
fn a_census_of_which_nothing_follows_changes_nothing() {
    let play = |census: fn(&mut World)| {
        let mut world = World::new(600, Seen::Stale);
        for _ in 0..120 {
            touch(&mut world, 2);
            census(&mut world);
        }
        world.detection.judgements()
    };
    let without = play(|_| {});
    assert_eq!(without, play(|world| counted(world, Heap::default(), Vec::new())));
    let once = play(|world| {
        if world.second == 60 {
            let rows = vec![row(Counted::Class, "Entry", 1, Some(1), None)];
            counted(world, Heap::default(), rows);
        }
    });
    assert_eq!(without, once);
}

#[test]
fn a_verdict_does_not_change_when_censuses_end() {
    let mut world = World::new(600, Seen::Stale);
    for _ in 0..300 {
        grow(&mut world, |all| all);
    }
    let before = world.judgement(Resource::Memory).unwrap().verdict;
    assert!(before >= Verdict::Suspected);
    for _ in 0..1_000 {
        touch(&mut world, 2);
    }
    let after = world.judgement(Resource::Memory).unwrap();
    assert!(after.verdict >= before, "{after:?}");
}

#[test]
fn nothing_is_decided_by_a_census_while_records_are_lost() {
    let mut world = World::new(600, Seen::Nothing);
    world.blind = true;
    for _ in 0..1_500 {
        grow(&mut world, |all| all);
        let judgement = world.judgement(Resource::Memory);
        assert!(judgement.is_none_or(|judgement| judgement.verdict < Verdict::Suspected));
    }
}

#[test]
fn who_has_ended_has_no_books() {
    let mut world = World::new(600, Seen::Nothing);
    for _ in 0..60 {
        grow(&mut world, |all| all);
    }
    let now_ns = world.moment().monotonic_ns;
    assert!(
        !world
            .detection
            .holders(now_ns, world.id, Resource::Memory)
            .is_empty()
    );
    let later = crate::raw::Moment {
        monotonic_ns: now_ns + SECOND_NS,
        ..world.moment()
    };
    world.detection.update(later, std::iter::empty());
    assert!(
        world
            .detection
            .holders(now_ns, world.id, Resource::Memory)
            .is_empty()
    );
}
