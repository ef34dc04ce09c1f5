//! How often somebody is told: nobody reads the hundredth message about one leak.

use std::collections::{HashMap, VecDeque};

use crate::model::finding::{Finding, FindingSite, Resource, Subject, Verdict};

const HOUR_NS: u64 = 3_600_000_000_000;
/// The same thing is said again after so long.
const REPEAT_NS: u64 = 6 * HOUR_NS;
/// Messages an hour, about whatever.
const MOST_PER_HOUR: usize = 60;
/// Things remembered as said; beyond that the oldest is forgotten.
const MOST_KEYS: usize = 4096;

/// What makes two messages the same: a program that is restarted leaks at the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    program: String,
    resource: Resource,
    kind: String,
    site: String,
    recovered: bool,
}

impl Key {
    fn of(finding: &Finding) -> Self {
        let program = match &finding.subject {
            Subject::Process => finding.exe.as_deref().unwrap_or(&finding.process).to_owned(),
            Subject::Container(name) => format!("container {name}"),
            Subject::Unit(name) => format!("unit {name}"),
        };
        let function = |site: &FindingSite| site.function.clone();
        Self {
            program,
            resource: finding.resource,
            kind: finding.kind.clone(),
            site: finding.sites.first().and_then(function).unwrap_or_default(),
            recovered: finding.verdict == Verdict::Recovered,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at_ns: u64,
    verdict: Verdict,
}

/// Whether a message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It does.
    Send,
    /// The same was said not long ago, and it has not become worse.
    Said,
    /// Too many went out in the last hour.
    TooMany,
}

/// What was said, and when. Bounded; time is an argument.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    said: HashMap<Key, Said>,
    /// When messages of the last hour went out, oldest first.
    recent: VecDeque<u64>,
}

impl Limiter {
    /// Whether the finding is to be told at `now_ns`, nanoseconds of a clock that does not go back. What is admitted counts as said.
    pub(super) fn admit(&mut self, now_ns: u64, finding: &Finding) -> Admission {
        while self
            .recent
            .front()
            .is_some_and(|&at| now_ns.saturating_sub(at) >= HOUR_NS)
        {
            self.recent.pop_front();
        }
        let key = Key::of(finding);
        let repeated = self.said.get(&key).is_some_and(|said| {
            now_ns.saturating_sub(said.at_ns) < REPEAT_NS && finding.verdict <= said.verdict
        });
        if repeated {
            return Admission::Said;
        }
        if self.recent.len() >= MOST_PER_HOUR {
            return Admission::TooMany;
        }
        self.recent.push_back(now_ns);
        self.remember(now_ns, key, finding.verdict);
        Admission::Send
    }

    fn remember(&mut self, now_ns: u64, key: Key, verdict: Verdict) {
        if self.said.len() >= MOST_KEYS {
            self.said
                .retain(|_, said| now_ns.saturating_sub(said.at_ns) < REPEAT_NS);
        }
        if self.said.len() >= MOST_KEYS {
            let oldest = self.said.iter().min_by_key(|(_, said)| said.at_ns);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| self.said.remove(&key));
        }
        self.said.insert(
            key,
            Said {
                at_ns: now_ns,
                verdict,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Finding, HOUR_NS, Limiter, MOST_KEYS, MOST_PER_HOUR, Verdict};
    use crate::present::findings::sample;

    fn finding(process: &str, verdict: Verdict) -> Finding {
        Finding {
            process: process.to_owned(),
            exe: None,
            verdict,
            ..sample::leak()
        }
    }

    #[test]
    fn the_same_is_said_once_in_six_hours_unless_it_becomes_worse() {
        let mut limiter = Limiter::default();
        let mut admit = |hours: u64, verdict| limiter.admit(hours * HOUR_NS, &finding("payments", verdict));
        assert_eq!(admit(0, Verdict::Suspected), Admission::Send);
        assert_eq!(admit(1, Verdict::Suspected), Admission::Said);
        assert_eq!(admit(2, Verdict::Leaking), Admission::Send);
        assert_eq!(admit(3, Verdict::Suspected), Admission::Said);
        assert_eq!(admit(7, Verdict::Leaking), Admission::Said);
        assert_eq!(admit(8, Verdict::Leaking), Admission::Send);
    }

    #[test]
    fn recovery_is_said_too_and_not_over_and_over() {
        let mut limiter = Limiter::default();
        let mut admit = |verdict| limiter.admit(0, &finding("payments", verdict));
        assert_eq!(admit(Verdict::Leaking), Admission::Send);
        assert_eq!(admit(Verdict::Recovered), Admission::Send);
        assert_eq!(admit(Verdict::Leaking), Admission::Said, "it flaps");
        assert_eq!(admit(Verdict::Recovered), Admission::Said);
    }

    #[test]
    fn another_place_program_or_resource_is_another_thing() {
        let mut limiter = Limiter::default();
        let mut other = finding("payments", Verdict::Leaking);
        assert_eq!(limiter.admit(0, &other), Admission::Send);
        other.pid += 1;
        assert_eq!(limiter.admit(0, &other), Admission::Said, "it was restarted");
        other.sites[0].function = Some("elsewhere".to_owned());
        assert_eq!(limiter.admit(0, &other), Admission::Send);
        other.resource = super::Resource::Memory;
        assert_eq!(limiter.admit(0, &other), Admission::Send);
        other.process = "orders".to_owned();
        assert_eq!(limiter.admit(0, &other), Admission::Send);
    }

    #[test]
    fn an_hour_has_room_for_so_many_and_what_did_not_go_out_was_not_said() {
        let mut limiter = Limiter::default();
        let late = finding("late", Verdict::Leaking);
        for number in 0..MOST_PER_HOUR {
            let finding = finding(&number.to_string(), Verdict::Leaking);
            assert_eq!(limiter.admit(0, &finding), Admission::Send);
        }
        assert_eq!(limiter.admit(HOUR_NS - 1, &late), Admission::TooMany);
        assert_eq!(limiter.admit(HOUR_NS, &late), Admission::Send);
    }

    #[test]
    fn memory_is_bounded() {
        let mut limiter = Limiter::default();
        for number in 0..2 * MOST_KEYS as u64 {
            let finding = finding(&number.to_string(), Verdict::Leaking);
            // Two minutes apart: 4,320 different ones in the time after which each may be repeated... and none too many.
            assert_eq!(limiter.admit(number * HOUR_NS / 60, &finding), Admission::Send);
            assert!(limiter.said.len() <= MOST_KEYS && limiter.recent.len() <= MOST_PER_HOUR);
        }
    }
}
