use bytes::Bytes;
use leakwatch_common::{
    record::{AddressSpaceChanged, Header, RecordKind},
    stack::StackTaken,
};

use super::{
    CopiedStack, Counter, Host, Kind, Moment, ProcessId, Reading, Record, StackId, TaskRow, ThreadRow,
    Totals, Unwind,
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

/// A heap that grows by a page at a time, each touched as soon as it is there; all of it comes with one reading, in which the
/// row is the newest, then come touches, then changes.
#[test]
fn a_heap_that_grew_many_times_since_the_last_reading_is_held() {
    const PAGE: u64 = 4096;
    let row = |brk| TaskRow {
        start_boottime_ns: START_NS,
        tgid: PID,
        brk,
        ..bytemuck::Zeroable::zeroed()
    };
    let touch = |page| {
        let mut touch = birth(0, Kind::FirstTouch);
        (touch.taken.item, touch.taken.time_ns) = (page * PAGE, page);
        touch
    };
    let set = |page: u64, brk: u64| {
        Record::BrkSet(AddressSpaceChanged {
            header: Header {
                kind: RecordKind::BrkSet as u32,
                tgid: PID,
                time_ns: page,
            },
            addr: brk * PAGE,
            ..bytemuck::Zeroable::zeroed()
        })
    };
    let mut host = Host::default();
    host.apply(at(1), Reading::Tasks(vec![row(PAGE)]), &mut Nowhere);
    host.apply(at(2), Reading::Tasks(vec![row(101 * PAGE)]), &mut Nowhere);
    host.apply(
        at(2),
        Reading::Stacks((1..=100).map(touch).collect()),
        &mut Nowhere,
    );
    let grown = (1..=100).map(|page| set(page, page + 1));
    host.apply(at(2), Reading::Records(grown.collect()), &mut Nowhere);
    let held = |host: &Host| host.process(PID).unwrap().first_touch.pages().len();
    assert_eq!(held(&host), 100);
    host.apply(at(3), Reading::Records(vec![set(200, 41)]), &mut Nowhere);
    assert_eq!(held(&host), 40);
}

/// The clock is coarse: a new mapping comes before a touch of the same moment, and what is given back after it.
#[test]
fn of_one_moment_a_mapping_comes_first_and_what_is_given_back_last() {
    const ADDR: u64 = 0x7f00_0000_0000;
    let change = || AddressSpaceChanged {
        header: Header {
            tgid: PID,
            time_ns: 7,
            ..bytemuck::Zeroable::zeroed()
        },
        addr: ADDR,
        len: 4096,
        ..bytemuck::Zeroable::zeroed()
    };
    for (record, held) in [
        (Record::Mapped(change()), 1),
        (Record::Unmapped(change()), 0),
        (Record::Discarded(change()), 0),
    ] {
        let mut host = holder();
        let mut touch = birth(0, Kind::FirstTouch);
        (touch.taken.item, touch.taken.time_ns) = (ADDR, 7);
        host.apply(at(2), Reading::Stacks(vec![touch]), &mut Nowhere);
        host.apply(at(2), Reading::Records(vec![record]), &mut Nowhere);
        assert_eq!(host.process(PID).unwrap().first_touch.pages().len(), held);
    }
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
