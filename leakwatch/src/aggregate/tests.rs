use bytes::Bytes;
use leakwatch_common::stack::StackTaken;

use super::{
    CopiedStack, Counter, Host, Kind, Moment, ProcessId, Reading, StackId, TaskRow, ThreadRow, Totals, Unwind,
};

const PID: u32 = 42;
const START_NS: u64 = 1_000;

struct Nowhere;

impl Unwind for Nowhere {
    fn copied(&mut self, _: &CopiedStack) -> StackId {
        StackId(1)
    }

    fn waiting(&mut self, _: &ThreadRow, _: ProcessId, _: u32) -> StackId {
        StackId::NONE
    }
}

fn at(second: u64) -> Moment {
    Moment {
        monotonic_ns: second * 1_000_000_000,
        ..Moment::default()
    }
}

fn birth(sample: u32, kind: Kind) -> CopiedStack {
    CopiedStack {
        taken: StackTaken {
            start_boottime_ns: START_NS,
            tgid: PID,
            sample,
            kind: kind as u32,
            weight: 1,
            ..bytemuck::Zeroable::zeroed()
        },
        memory: Bytes::new(),
        frames: Vec::new(),
    }
}

fn lost(counter: Counter, count: u64) -> Reading {
    Reading::Totals(Totals::of(counter, count))
}

/// One process that holds a socket, a thread and a mapping, each of them sampled.
fn holder() -> Host {
    let mut host = Host::default();
    let row = TaskRow {
        start_boottime_ns: START_NS,
        tgid: PID,
        ..bytemuck::Zeroable::zeroed()
    };
    let births = [Kind::Socket, Kind::Thread, Kind::Mapping];
    let births = (1..).zip(births).map(|(sample, kind)| birth(sample, kind));
    host.apply(at(1), Reading::Tasks(vec![row]), &mut Nowhere);
    host.apply(at(1), Reading::Stacks(births.collect()), &mut Nowhere);
    host
}

fn live(host: &Host) -> Vec<Kind> {
    let sites = &host.process(PID).unwrap().sites;
    let mut kinds: Vec<Kind> = sites.survivors().map(|survivor| survivor.kind).collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn records_that_say_of_no_death_may_be_lost_and_nothing_is_forgotten() {
    let mut host = holder();
    host.apply(at(2), lost(Counter::FeedDropped, 1_000), &mut Nowhere);
    assert_eq!(live(&host), [Kind::Socket, Kind::Thread, Kind::Mapping]);
    assert!(!host.deaths_lost());
    assert_eq!(host.process(PID).unwrap().sites.whole_since_ns(Kind::Socket), 0);
}

#[test]
fn after_a_lost_death_descriptors_and_threads_begin_anew() {
    let mut host = holder();
    host.apply(at(2), lost(Counter::DeathsDropped, 1), &mut Nowhere);
    assert_eq!(live(&host), [Kind::Mapping]);
    assert!(host.deaths_lost());
    let since = |host: &Host, kind| host.process(PID).unwrap().sites.whole_since_ns(kind);
    let loss_ns = at(2).monotonic_ns;
    assert_eq!(
        (since(&host, Kind::Socket), since(&host, Kind::Mapping)),
        (loss_ns, 0)
    );
    host.apply(at(3), Reading::Stacks(vec![birth(4, Kind::Socket)]), &mut Nowhere);
    host.apply(at(3), lost(Counter::DeathsDropped, 1), &mut Nowhere);
    assert_eq!(live(&host), [Kind::Socket, Kind::Mapping]);
    assert!(!host.deaths_lost());
    assert_eq!(since(&host, Kind::Socket), loss_ns);
}
