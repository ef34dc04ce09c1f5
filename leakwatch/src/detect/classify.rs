//! What growth looks like when it is not known to be a leak.

use super::floor::{Climb, Veto};
use crate::model::finding::{Class, Resource, Verdict};

/// A process so young, seconds, is warming up.
const YOUNG: f64 = 120.0;
/// Watched for less than that, seconds, nothing can be told.
const TOO_SHORT: f64 = 10.0;
/// Logarithms slow down to this part from one third to the next at the most; what closes in on a cap does more.
const LOGARITHM: f64 = 0.45;

/// What there is to tell it by.
pub(super) struct Looks<'a> {
    pub(super) resource: Resource,
    pub(super) verdict: Verdict,
    /// Of the process, seconds.
    pub(super) age: f64,
    /// Seconds.
    pub(super) watched: f64,
    pub(super) frozen: bool,
    pub(super) climb: Option<&'a Climb>,
    /// Nothing was taken lately of what is kept.
    pub(super) dried_up: bool,
    /// Some stack holds more and more.
    pub(super) owned: bool,
}

/// The class; `None` when nothing speaks for one.
pub(super) fn class(looks: &Looks<'_>) -> Option<Class> {
    if looks.frozen || looks.watched < TOO_SHORT {
        return Some(Class::NotEnoughData);
    }
    if looks.verdict >= Verdict::Suspected {
        return None;
    }
    let veto = looks.climb.and_then(|climb| climb.veto);
    match veto {
        Some(Veto::Release) => Some(Class::SawTooth),
        Some(Veto::FollowsLoad) => Some(Class::FollowsLoad),
        _ if looks.age < YOUNG => Some(Class::WarmUp),
        Some(Veto::Decelerates) => {
            let thirds = looks.climb.map_or(0.0, |climb| climb.thirds);
            let fragments = looks.resource == Resource::Memory && !looks.owned && thirds > LOGARITHM;
            Some(if fragments {
                Class::Fragmentation
            } else {
                Class::Saturating
            })
        }
        Some(Veto::Step) => Some(Class::PoolFill),
        None => looks.dried_up.then_some(Class::PoolFill),
    }
}
