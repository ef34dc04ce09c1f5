//! What takes a verdict back, and what does not.

use leakwatch_common::kind::Kind;

use super::{
    leak, seconds_until,
    world::{Seen, World},
};
use crate::model::finding::{Resource, Verdict};

fn leaking() -> World {
    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 40);
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Leaking);
    world
}

/// The level rises, and no sample says where.
fn unseen(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.levels.fds += 10;
        world.tick();
    }
}

#[test]
fn thinner_evidence_takes_nothing_back_while_it_grows() {
    let mut world = leaking();
    for _ in 0..400 {
        unseen(&mut world, 1);
        let judgement = world.judgement(Resource::Fd).unwrap();
        assert_eq!(judgement.verdict, Verdict::Leaking, "{judgement:?}");
        assert!(judgement.confidence >= 0.9, "{judgement:?}");
    }
}

#[test]
fn ten_minutes_without_a_new_high_take_it_back() {
    let mut world = leaking();
    for _ in 0..500 {
        world.tick();
    }
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Leaking);
    for _ in 0..400 {
        world.tick();
    }
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Recovered);
}

#[test]
fn what_is_used_after_all_has_recovered() {
    let mut world = leaking();
    world.found_in_use(Resource::Fd);
    leak(&mut world, 4);
    assert_eq!(world.judgement(Resource::Fd).unwrap().verdict, Verdict::Recovered);
}

#[test]
fn what_was_kept_over_a_restart_can_recover() {
    let before = leaking();
    let anew = |before: &World| {
        let mut again = World::new(660, Seen::Nothing);
        again.detection = super::Detection::default();
        again.detection.remember(before.detection.remembered());
        again.levels = before.levels;
        again.tick();
        again
    };
    let mut released = anew(&before);
    released.tick();
    released.levels.fds = 30;
    for _ in 0..10 {
        released.tick();
    }
    assert_eq!(
        released.judgement(Resource::Fd).unwrap().verdict,
        Verdict::Recovered
    );

    let mut quiet = anew(&before);
    for _ in 0..1_200 {
        quiet.tick();
    }
    assert_eq!(quiet.judgement(Resource::Fd).unwrap().verdict, Verdict::Recovered);
}

#[test]
fn a_loss_now_and_then_keeps_what_was_seen() {
    let mut world = World::new(600, Seen::Stale);
    let seconds = seconds_until(&mut world, Verdict::Leaking, 90, Resource::Fd, |world| {
        world.blind = world.second.is_multiple_of(5);
        leak(world, 1);
    });
    assert!(seconds.is_some_and(|seconds| seconds <= 40), "{seconds:?}");
}

#[test]
fn after_a_loss_a_leak_is_found_as_soon_as_at_first() {
    let mut world = World::new(600, Seen::Stale);
    leak(&mut world, 15);
    world.lose();
    let seconds = seconds_until(&mut world, Verdict::Leaking, 90, Resource::Fd, |world| {
        leak(world, 1);
    });
    assert!(seconds.is_some_and(|seconds| seconds <= 40), "{seconds:?}");
}

#[test]
fn deaths_that_were_lost_accuse_nobody() {
    let mut world = World::new(600, Seen::Stale);
    for _ in 0..400 {
        world.blind = world.second.is_multiple_of(5);
        for item in 0..20 {
            let sample = world.born(Kind::Socket, 1, world.second * 20 + item);
            if world.blind {
                world.levels.fds -= 1;
            } else {
                world.closed(sample, 300);
            }
        }
        world.tick();
        let judgement = world.judgement(Resource::Fd);
        assert!(
            judgement.is_none_or(|judgement| judgement.verdict < Verdict::Suspected),
            "{:?}",
            world.judgement(Resource::Fd)
        );
    }
}
