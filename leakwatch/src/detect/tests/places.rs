//! What is known of the place that took things: whether it gives back what else it takes, and since when it takes.

use leakwatch_common::kind::Kind;

use super::{
    seconds_until,
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
