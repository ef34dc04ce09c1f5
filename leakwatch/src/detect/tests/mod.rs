//! Whole processes: what they do, and what is said of them.

mod books;
mod holds;
mod places;
mod properties;
mod world;

use leakwatch_common::kind::Kind;

use self::world::{MIB, Seen, World};
use super::{Detection, SubjectKey};
use crate::model::finding::{Resource, Verdict};

/// Ten descriptors a second, none of which is ever closed.
fn leak(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        for item in 0..10 {
            let item = world.second * 10 + item;
            world.born(Kind::Socket, 1, item);
        }
        world.tick();
    }
}

/// Seconds until a verdict, within so many.
fn seconds_until(
    world: &mut World,
    verdict: Verdict,
    most: u64,
    resource: Resource,
    step: impl Fn(&mut World),
) -> Option<u64> {
    let began = world.second;
    while world.second < began + most {
        step(world);
        if world
            .judgement(resource)
            .is_some_and(|judgement| judgement.verdict >= verdict)
        {
            return Some(world.second - began);
        }
    }
    None
}

#[test]
fn a_fast_leak_in_a_young_process_is_one_within_half_a_minute() {
    for seen in [Seen::Stale, Seen::CloseWait, Seen::SameFile] {
        let mut world = World::new(0, seen);
        let seconds = seconds_until(&mut world, Verdict::Leaking, 60, Resource::Fd, |world| {
            leak(world, 1);
        });
        assert!(seconds.is_some_and(|seconds| seconds <= 30), "{seconds:?}");
        let judgement = world.judgement(Resource::Fd).unwrap();
        assert_eq!(judgement.kind, "socket");
        assert_eq!(
            judgement.sites.first(),
            Some(&(Kind::Socket, crate::model::stack::StackId(1)))
        );
        assert!(judgement.confidence >= 0.9 && judgement.since_unix_ms.is_some());
        let rate = judgement.rate.unwrap();
        assert!(rate.low <= 10.0 && 10.0 <= rate.high, "{rate:?}");
    }
}

#[test]
fn who_was_looked_at_is_not_excused_by_youth() {
    let mut world = World::new(0, Seen::WaitingAlike);
    let is_young = |world: &World| {
        let evidence = world.judgement(Resource::Thread).unwrap().evidence;
        evidence.iter().any(|evidence| evidence.name == "young")
    };
    let step = |world: &mut World| {
        for thread in 0..10 {
            world.born(Kind::Thread, 1, 100 + world.second * 10 + thread);
        }
        world.tick();
    };
    let seconds = seconds_until(&mut world, Verdict::Growing, 30, Resource::Thread, step);
    assert!(seconds.is_some());
    for _ in 0..30 {
        step(&mut world);
    }
    assert!(world.second < 90 && !is_young(&world));
}

#[test]
fn what_nobody_looked_at_is_growing() {
    let mut world = World::new(0, Seen::Nothing);
    leak(&mut world, 60);
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Growing);
}

#[test]
fn what_is_used_is_not_even_suspected() {
    let mut world = World::new(1_000, Seen::Touched);
    let verdict = seconds_until(&mut world, Verdict::Suspected, 80, Resource::Fd, |world| {
        leak(world, 1);
    });
    assert_eq!(verdict, None);
}

#[test]
fn a_place_that_gives_back_and_keeps_a_part_is_suspected() {
    let mut world = World::new(1_000, Seen::Nothing);
    let step = |world: &mut World| {
        for item in 0..20 {
            let sample = world.born(Kind::File, 1, item);
            if item >= 2 {
                world.closed(sample, 200);
            }
        }
        world.tick();
    };
    let verdict = seconds_until(&mut world, Verdict::Suspected, 120, Resource::Fd, step);
    assert!(verdict.is_some_and(|seconds| seconds <= 90), "{verdict:?}");
}

#[test]
fn requests_alone_are_healthy() {
    let mut world = World::new(1_000, Seen::Stale);
    let mut open: Vec<u32> = Vec::new();
    for second in 0..300_u64 {
        for item in 0..20 {
            open.push(world.born(Kind::Socket, 1, item));
        }
        // Each lives for about five seconds; the load comes and goes.
        let keep = 100 + usize::try_from(second % 60).unwrap();
        while open.len() > keep {
            let sample = open.remove(0);
            world.closed(sample, 5_000);
        }
        world.tick();
        assert!(
            world
                .judgement(Resource::Fd)
                .is_none_or(|judgement| judgement.verdict < Verdict::Suspected)
        );
    }
}

#[test]
fn a_pool_of_threads_is_not_suspected() {
    let mut world = World::new(0, Seen::Stale);
    for second in 0..300_u64 {
        if second < 100 {
            world.born(Kind::Thread, 1, 100 + second);
        }
        world.tick();
        assert!(
            world
                .judgement(Resource::Thread)
                .is_none_or(|judgement| judgement.verdict < Verdict::Suspected)
        );
    }
}

/// Sampled page faults, a MiB each.
fn touch(world: &mut World, faults: u64) {
    for fault in 0..faults {
        let page = 0x7000_0000_0000 + (world.second * faults + fault) * MIB;
        world.born(Kind::FirstTouch, 7, page);
    }
    world.tick();
}

#[test]
fn a_heap_that_grows_and_is_not_used_is_suspected_and_after_a_quarter_of_an_hour_leaks() {
    let mut old = World::new(600, Seen::Stale);
    let suspected = seconds_until(&mut old, Verdict::Suspected, 60, Resource::Memory, |world| {
        touch(world, 4);
    });
    assert!(suspected.is_some_and(|seconds| seconds <= 30), "{suspected:?}");
    let leaking = seconds_until(&mut old, Verdict::Leaking, 1_000, Resource::Memory, |world| {
        touch(world, 4);
    });
    assert!(leaking.is_some(), "{:?}", old.judgement(Resource::Memory));
    assert!((900..=940).contains(&old.second), "{}", old.second);
    assert_eq!(old.judgement(Resource::Memory).unwrap().kind, "heap");

    let mut young = World::new(0, Seen::Stale);
    let seconds = seconds_until(&mut young, Verdict::Suspected, 60, Resource::Memory, |world| {
        touch(world, 4);
    });
    assert!(seconds.is_some(), "it may be loading its data, and may not");
    assert_eq!(
        young.judgement(Resource::Memory).unwrap().verdict,
        Verdict::Suspected
    );
}

#[test]
fn a_heap_is_given_as_much_time_as_is_left_to_its_limit_and_an_hour_at_most() {
    let seconds = |gib: u64| {
        let mut world = World::new(1_000, Seen::Stale);
        world.memory_limit = gib << 30;
        seconds_until(&mut world, Verdict::Leaking, 4_000, Resource::Memory, |world| {
            touch(world, 1);
        })
    };
    // At 1 MiB a second 4 GiB last for an hour, and 64 GiB for eighteen.
    let near = seconds(4);
    assert!(
        near.is_some_and(|seconds| (1_500..2_100).contains(&seconds)),
        "{near:?}"
    );
    let far = seconds(64);
    assert!(
        far.is_some_and(|seconds| (3_500..3_800).contains(&seconds)),
        "{far:?}"
    );
}

#[test]
fn a_cache_that_is_used_is_growing_at_most() {
    let mut world = World::new(600, Seen::Touched);
    for _ in 0..120 {
        touch(&mut world, 4);
        assert!(
            world
                .judgement(Resource::Memory)
                .is_none_or(|judgement| judgement.verdict <= Verdict::Growing)
        );
    }
}

#[test]
fn what_is_given_back_has_recovered_and_what_ends_has_ended() {
    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 40);
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Leaking);
    world.levels.fds = 30;
    for _ in 0..10 {
        world.tick();
    }
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Recovered);

    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 40);
    world.detection.update(world.moment(), std::iter::empty());
    let ended = world.judgement(Resource::Fd).unwrap();
    assert_eq!((ended.verdict, ended.exhausting), (Verdict::Ended, false));
}

#[test]
fn lost_records_make_no_verdict_and_end_none() {
    let mut world = World::new(600, Seen::Stale);
    world.blind = true;
    leak(&mut world, 40);
    assert!(
        world
            .judgement(Resource::Fd)
            .is_none_or(|judgement| judgement.verdict <= Verdict::Growing)
    );

    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 40);
    world.blind = true;
    leak(&mut world, 30);
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Leaking);
}

#[test]
fn a_verdict_survives_the_agent_and_is_remembered_of_the_program() {
    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 40);
    let before = world.judgement(Resource::Fd).unwrap();
    let remembered = world.detection.remembered();
    assert_eq!(remembered.len(), 1);

    // The agent anew, the process is the same.
    let mut again = World::new(660, Seen::Nothing);
    again.detection = Detection::default();
    again.detection.remember(remembered.clone());
    for _ in 0..5 {
        again.tick();
    }
    let after = again.judgement(Resource::Fd).unwrap();
    assert_eq!(
        (after.verdict, after.since_unix_ms),
        (before.verdict, before.since_unix_ms)
    );
    assert!(
        after
            .evidence
            .iter()
            .any(|evidence| evidence.name == "remembered")
    );

    // The process anew.
    let mut next = World::new(600, Seen::Nothing);
    next.id.pid = 43;
    next.detection = Detection::default();
    next.detection.remember(remembered);
    leak(&mut next, 40);
    let judgement = next.judgement(Resource::Fd).unwrap();
    assert!(
        judgement
            .evidence
            .iter()
            .any(|evidence| evidence.name == "seen-before"),
        "{judgement:?}"
    );
}

#[test]
fn too_few_readings_say_nothing() {
    let world = World::new(0, Seen::Nothing);
    let key = SubjectKey::Process(world.id);
    assert_eq!(world.detection.verdict(&key), None);
    let mut world = world;
    world.tick();
    assert_eq!(world.detection.verdict(&key), Some(Verdict::Healthy));
    // What moves may be about to grow.
    world.levels.memory += MIB;
    for _ in 0..30 {
        world.tick();
        assert_eq!(world.detection.verdict(&key), None);
    }
    world.tick();
    assert_eq!(world.detection.verdict(&key), Some(Verdict::Healthy));
}
