use std::{collections::BTreeSet, sync::Arc};

use super::{Document, Finding, Observation, Snapshot, State, Target, Verdict};
use crate::present::{findings::sample as findings, sample};

const PID: u32 = 4711;

fn snapshot(second: u64, state: Option<State>, verdict: Option<Verdict>) -> Arc<Snapshot> {
    let mut process = sample::quiet(PID, 1, "payments");
    process.state = state.unwrap_or(State::Observing);
    let finding = verdict.map(|verdict| Finding {
        start_time_ns: process.id.start_time_ns,
        verdict,
        ..findings::leak()
    });
    Arc::new(Snapshot {
        uptime_ns: second * 10_000_000_000,
        processes: state.map(|_| process).into_iter().collect(),
        findings: finding.into_iter().collect(),
        ..sample::snapshot()
    })
}

fn observed(target: Target, snapshots: Vec<Arc<Snapshot>>) -> Document {
    let mut snapshots = snapshots.into_iter();
    let mut observation = Observation::begin(target, snapshots.next().expect("a first one"));
    for snapshot in snapshots {
        observation.add(snapshot, &BTreeSet::new());
    }
    observation.document()
}

fn pids() -> Target {
    Target::Pids([PID].into())
}

fn verdicts(document: &Document) -> Vec<Verdict> {
    document.findings.iter().map(|finding| finding.verdict).collect()
}

#[test]
fn the_last_verdict_counts() {
    let seen = |second, verdict| snapshot(second, Some(State::Healthy), verdict);
    let mut snapshots = vec![seen(1, None), seen(2, Some(Verdict::Leaking))];
    let document = observed(pids(), snapshots.clone());
    assert_eq!(verdicts(&document), [Verdict::Leaking]);
    assert!(document.complete && document.problems.is_empty(), "{document:?}");
    snapshots.push(seen(3, Some(Verdict::Recovered)));
    assert_eq!(
        verdicts(&observed(pids(), snapshots.clone())),
        [Verdict::Recovered]
    );
    snapshots.push(seen(4, None));
    assert_eq!(verdicts(&observed(pids(), snapshots)), []);
}

#[test]
fn of_who_has_ended_the_verdict_before_counts() {
    let mut snapshots = vec![
        snapshot(1, Some(State::Healthy), None),
        snapshot(2, Some(State::Healthy), Some(Verdict::Leaking)),
        snapshot(3, None, Some(Verdict::Ended)),
    ];
    let document = observed(pids(), snapshots.clone());
    assert_eq!(verdicts(&document), [Verdict::Leaking]);
    assert!(document.targets[0].ended);
    snapshots.push(snapshot(4, None, None));
    assert_eq!(verdicts(&observed(pids(), snapshots)), [Verdict::Leaking]);
}

#[test]
fn who_ended_too_soon_was_not_observed() {
    let document = observed(
        pids(),
        vec![
            snapshot(1, Some(State::Observing), None),
            snapshot(3, Some(State::Observing), None),
            snapshot(4, None, None),
        ],
    );
    assert!(!document.complete);
    assert_eq!(
        document.problems,
        ["process 4711 (payments) ended after 20 s: too soon to say anything"]
    );
    let document = observed(Target::Host, vec![snapshot(1, Some(State::Observing), None)]);
    assert!(!document.complete);
    assert_eq!(
        document.problems,
        ["no process of this host was observed for long enough to say anything"]
    );
    let document = observed(Target::Host, vec![snapshot(1, None, None)]);
    assert!(!document.complete, "nobody is not everybody");
}

/// Deaths were lost before the readings at the seconds of `lost`, and records of other kinds before each.
fn reading(second: u64, lost: &[u64], state: State, verdict: Option<Verdict>) -> Arc<Snapshot> {
    let mut snapshot = (*snapshot(1, Some(state), verdict)).clone();
    snapshot.uptime_ns = second * 1_000_000_000;
    snapshot.health.feed.dropped = 9 * second;
    snapshot.health.feed.deaths_dropped = lost.iter().map(|&at| u64::from(at <= second)).sum();
    Arc::new(snapshot)
}

fn seconds(target: &Target, seconds: u64, lost: &[u64], state: State, verdict: Option<Verdict>) -> Document {
    let readings = (0..=seconds).map(|second| reading(second, lost, state, verdict));
    observed(target.clone(), readings.collect())
}

#[test]
fn lost_deaths_are_said_and_when_there_are_many_nothing_else() {
    let healthy = |lost: &[u64]| seconds(&pids(), 60, lost, State::Healthy, None);
    let without = healthy(&[]);
    assert!(without.complete && without.problems.is_empty(), "{without:?}");
    let once = healthy(&[25]);
    assert!(once.complete && once.problems.len() == 1, "{once:?}");
    let half: Vec<u64> = (1..=31).collect();
    assert!(!healthy(&half).complete);
}

#[test]
fn who_grows_between_losses_and_was_never_seen_for_long_enough_was_not_observed() {
    let grows =
        |target: &Target, lost: &[u64], verdict| seconds(target, 60, lost, State::Growing, Some(verdict));
    let lost = [20, 40];
    let document = grows(&pids(), &lost, Verdict::Growing);
    assert!(!document.complete && !document.targets[0].judged, "{document:?}");
    assert_eq!(
        document.problems[0],
        "process 4711 (payments) was seen for 20 s at most between losses of records, too short to say anything: this host \
         leaves leakwatch too little time to read them; start it with nice -n -20"
    );
    assert!(!grows(&Target::Host, &lost, Verdict::Growing).complete);
    assert!(
        grows(&pids(), &[29], Verdict::Growing).complete,
        "half a minute is left"
    );
    let leaks = grows(&pids(), &lost, Verdict::Leaking);
    assert!(leaks.complete && leaks.targets[0].judged, "{leaks:?}");
}

#[test]
fn on_a_host_who_does_not_grow_may_be_missed_between_losses() {
    let quiet = |state, verdict| {
        let mut document = Vec::new();
        for second in 0..=60 {
            let mut snapshot = (*reading(second, &[20, 40], state, verdict)).clone();
            if second > 40 {
                let mut newcomer = sample::quiet(PID + 1, 1, "cron");
                newcomer.state = State::Healthy;
                snapshot.processes.push(newcomer);
            }
            document.push(Arc::new(snapshot));
        }
        observed(Target::Host, document)
    };
    let healthy = quiet(State::Healthy, None);
    let judged: Vec<bool> = healthy.targets.iter().map(|target| target.judged).collect();
    assert_eq!((judged, healthy.complete), (vec![false, true], true));
    assert!(healthy.problems[0].starts_with("1 of 2 processes, of which 0 grow, "));
    let grows = quiet(State::Growing, Some(Verdict::Growing));
    assert!(!grows.complete, "{grows:?}");
}

#[test]
fn a_loss_in_a_short_observation_leaves_too_little() {
    let document = seconds(&pids(), 12, &[6], State::Healthy, None);
    assert!(!document.complete, "{document:?}");
}

#[test]
fn a_glance_is_no_observation() {
    let healthy = snapshot(1, Some(State::Healthy), None);
    let mut soon = (*healthy).clone();
    soon.uptime_ns += 3_000_000_000;
    let document = observed(pids(), vec![healthy, Arc::new(soon)]);
    assert!(!document.complete && !document.targets[0].judged);
    let seldom = (1..=5).map(|minute| snapshot(6 * minute, Some(State::Healthy), None));
    let document = observed(pids(), seldom.collect());
    assert_eq!(
        document.problems,
        ["process 4711 (payments) was seen too seldom in 240 s to say anything"]
    );
    assert!(!document.complete);
}

#[test]
fn others_are_not_meant() {
    let healthy = snapshot(1, Some(State::Healthy), Some(Verdict::Leaking));
    let document = observed(Target::Pids([PID + 1].into()), vec![healthy]);
    assert!(document.findings.is_empty() && document.targets.is_empty());
}

#[test]
fn when_most_call_stacks_are_lost_nothing_can_be_concluded() {
    let lost = |taken, lost| {
        let reading = |second: u64| {
            let mut snapshot = (*reading(second, &[], State::Healthy, None)).clone();
            snapshot.health.feed.stacks_taken = 1_000 + second * taken;
            snapshot.health.feed.stacks_dropped = 5_000 + second * lost;
            Arc::new(snapshot)
        };
        observed(pids(), (0..=60).map(reading).collect())
    };
    assert!(
        lost(10, 0).problems.is_empty(),
        "what was lost before is no matter"
    );
    assert!(lost(1_000, 10).problems.is_empty());
    let few = lost(10, 1);
    assert!(few.complete, "{few:?}");
    assert!(
        few.problems[0].starts_with("60 of 660 call stacks were lost"),
        "{few:?}"
    );
    assert!(!lost(10, 11).complete);
}
