//! What holds whatever happens.

use leakwatch_common::kind::Kind;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::world::{Seen, World};
use crate::model::finding::Resource;

/// What a process does within a second.
#[derive(Clone, Debug)]
enum Act {
    /// So many are taken by a stack, and so many of these are given back at once.
    Take(u32, u32, u32),
    /// So many of the oldest are given back.
    GiveBack(usize),
    Lose,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..4_u32, 0..30_u32, 0..30_u32).prop_map(|(stack, taken, back)| Act::Take(stack, taken, back.min(taken))),
        2 => (0..60_usize).prop_map(Act::GiveBack),
        1 => Just(Act::Lose),
    ]
}

/// Plays it; within a tick the records of the CPUs come in an order that `turn` says.
fn play(acts: &[Act], turn: usize) -> World {
    let mut world = World::new(600, Seen::Stale);
    let mut open: Vec<u32> = Vec::new();
    for act in acts {
        world.blind = false;
        match *act {
            Act::Take(stack, taken, back) => {
                for item in 0..taken {
                    let sample = world.born(Kind::Socket, stack, u64::from(item));
                    if item < back {
                        world.closed(sample, 100);
                    } else {
                        open.push(sample);
                    }
                }
            }
            Act::GiveBack(count) => {
                for sample in open.drain(..count.min(open.len())).collect::<Vec<_>>() {
                    world.closed(sample, 10_000);
                }
            }
            Act::Lose => world.blind = true,
        }
        let (stacks, records) = (world.stacks.len(), world.records.len());
        world.stacks.rotate_left(turn.checked_rem(stacks).unwrap_or(0));
        world
            .records
            .rotate_left((turn / 7).checked_rem(records).unwrap_or(0));
        world.tick();
    }
    world
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_events_within_a_tick_does_not_matter(acts in prop::collection::vec(act(), 20..80), turn in any::<u16>()) {
        let (one, other) = (play(&acts, 0), play(&acts, usize::from(turn)));
        assert_eq!(one.detection.judgements(), other.detection.judgements());
        assert_eq!(one.detection.wishes(), other.detection.wishes());
    }

    #[test]
    fn the_same_twice_is_the_same(acts in prop::collection::vec(act(), 20..80)) {
        let (one, other) = (play(&acts, 0), play(&acts, 0));
        assert_eq!(one.detection.judgements(), other.detection.judgements());
        assert_eq!(one.detection.wishes(), other.detection.wishes());
        assert_eq!(one.detection.remembered(), other.detection.remembered());
    }

    #[test]
    fn nothing_lives_more_than_was_born(acts in prop::collection::vec(act(), 1..60)) {
        let world = play(&acts, 3);
        let process = world.host.process(world.id.pid).unwrap();
        for (kind, stack, site) in process.sites.iter() {
            let held = process.held().remove(&(kind, stack)).unwrap_or_default();
            assert!(held.live <= site.born);
            let samples: u64 = site.cohorts.iter().map(|cohort| u64::from(cohort.samples)).sum();
            assert_eq!(samples, site.samples);
        }
        let confident = world.judgement(Resource::Fd).is_none_or(|judgement| {
            (0.0..=1.0).contains(&judgement.confidence)
        });
        assert!(confident);
    }
}
