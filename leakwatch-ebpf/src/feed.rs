//! The ring buffer.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use leakwatch_common::{
    counter::{Budget, Counter},
    record::{Header, RecordKind},
};

use crate::{budget, counters::count, globals::setting, maps::FEED};

/// First bytes of a record.
#[inline(always)]
pub(crate) fn header(kind: RecordKind, tgid: u32, time_ns: u64) -> Header {
    Header {
        kind: kind as u32,
        tgid,
        time_ns,
    }
}

/// Sends a record that is rare enough to need no budget, and says whether there was room for it.
#[inline(always)]
pub(crate) fn send<R: 'static>(record: R) -> bool {
    let Some(mut entry) = FEED.reserve::<R>(0) else {
        count(Counter::FeedDropped);
        return false;
    };
    entry.write(record);
    entry.submit(wakeup());
    count(Counter::FeedRecords);
    true
}

/// Sends that a sample died. The agent has to know when it is not told: it would take the sample for alive for ever.
#[inline(always)]
pub(crate) fn send_death<R: 'static>(record: R) {
    if !send(record) {
        count(Counter::DeathsDropped);
    }
}

/// Sends a change of an address space unless this CPU has sent as many as it may in this second.
#[inline(always)]
pub(crate) fn send_change<R: 'static>(now_ns: u64, record: R) {
    if budget::take(Budget::Mappings, setting!(changes_per_second), now_ns) {
        send(record);
    }
}

/// The agent reads once a tick; it is woken earlier only when a quarter of the buffer waits.
#[inline(always)]
fn wakeup() -> u64 {
    let flag = if FEED.query(u64::from(BPF_RB_AVAIL_DATA)) > u64::from(setting!(ring_bytes) / 4) {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    u64::from(flag)
}
