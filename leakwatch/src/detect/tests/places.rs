//! What is known of the place that took things: whether it gives back what else it takes, and since when it takes.

use leakwatch_common::kind::Kind;

use super::{
    leak, seconds_until,
    world::{Seen, World},
};
use crate::model::{
    finding::{Resource, Verdict},
    stack::StackId,
};

/// Ten things, all but some of which are closed after a fifth of a second.
fn ten(world: &mut World, stack: u32, kept: u64) {
    for item in 0..10 {
        let sample = world.born(Kind::File, stack, item);
        if item >= kept {
            world.closed(sample, 200);
        }
    }
}

fn says(world: &World, name: &str) -> bool {
    let judgement = world.judgement(Resource::Fd);
    judgement.is_some_and(|judgement| judgement.evidence.iter().any(|evidence| evidence.name == name))
}

#[test]
fn a_place_that_gives_back_is_known_beside_another() {
    let mut world = World::new(1_000, Seen::Nothing);
    let step = |world: &mut World| {
        ten(world, 1, 2);
        ten(world, 2, 0);
        world.tick();
    };
    let verdict = seconds_until(&mut world, Verdict::Suspected, 120, Resource::Fd, step);
    assert!(verdict.is_some_and(|seconds| seconds <= 90), "{verdict:?}");
    assert!(says(&world, "turnover"));
    let sites = world.judgement(Resource::Fd).unwrap().sites;
    assert_eq!(sites.first(), Some(&(Kind::File, StackId(1))));
}

#[test]
fn two_places_that_share_a_leak_are_known_to_give_back() {
    let mut world = World::new(1_000, Seen::Nothing);
    let step = |world: &mut World| {
        ten(world, 1, 1);
        ten(world, 2, 1);
        world.tick();
    };
    let verdict = seconds_until(&mut world, Verdict::Suspected, 150, Resource::Fd, step);
    assert!(verdict.is_some(), "{:?}", world.judgement(Resource::Fd));
    assert!(says(&world, "turnover"));
}

#[test]
fn what_another_place_gives_back_is_no_credit() {
    let mut world = World::new(1_000, Seen::Nothing);
    for _ in 0..120 {
        ten(&mut world, 1, 0);
        world.born(Kind::File, 2, 100);
        world.born(Kind::File, 2, 101);
        world.tick();
        assert!(!says(&world, "turnover"));
    }
    assert!(says(&world, "survival"));
}

/// A process that is far from its limit, and takes so many a second.
fn gather(world: &mut World, each_second: u64) {
    for item in 0..each_second {
        let item = world.second * each_second + item;
        world.born(Kind::Socket, 1, item);
    }
    world.tick();
}

#[test]
fn what_never_gave_anything_back_is_suspected_for_its_first_ten_minutes() {
    let mut world = World::new(600, Seen::Stale);
    world.limit = 1 << 16;
    let seconds = seconds_until(&mut world, Verdict::Suspected, 300, Resource::Fd, |world| {
        gather(world, 5);
    });
    assert!(seconds.is_some(), "{:?}", world.judgement(Resource::Fd));
    let seconds = seconds_until(&mut world, Verdict::Leaking, 900, Resource::Fd, |world| {
        gather(world, 5);
    });
    assert!(seconds.is_some(), "{:?}", world.judgement(Resource::Fd));
    assert!((600..=640).contains(&world.second), "{}", world.second);
}

#[test]
fn more_than_staleness_or_a_limit_that_is_near_need_no_ten_minutes() {
    for seen in [Seen::SameFile, Seen::CloseWait] {
        let mut world = World::new(600, seen);
        world.limit = 1 << 16;
        let seconds = seconds_until(&mut world, Verdict::Leaking, 60, Resource::Fd, |world| {
            gather(world, 20);
        });
        assert!(seconds.is_some_and(|seconds| seconds <= 30), "{seconds:?}");
    }
    let mut world = World::new(600, Seen::Stale);
    let seconds = seconds_until(&mut world, Verdict::Leaking, 60, Resource::Fd, |world| {
        leak(world, 1);
    });
    assert!(seconds.is_some_and(|seconds| seconds <= 30), "{seconds:?}");
}
