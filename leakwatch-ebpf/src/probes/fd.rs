//! Births and deaths of file descriptors.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_probe_read_user, programs::BtfTracePointContext};
use aya_log_ebpf::debug;
use leakwatch_common::{
    counter::Counter,
    kind::Kind,
    record::{FdClosed, RecordKind},
    site::{CLOSE_PENDING, FDS_PER_PAGE, FdPageKey, FdSlot, OVERFLOW_SITE},
    stack::NO_SAMPLE,
};

use crate::{
    counters::count,
    feed,
    kernel::task::{self, Task},
    maps::{EMPTY_FD_PAGE, FD_PAGES, PROCESSES, SITES},
    process::{self, MAX_FD},
    site::{self, Actor as SiteActor},
};

type Actor<'a> = SiteActor<'a, BtfTracePointContext>;

/// include/uapi/linux/fcntl.h
const F_DUPFD: u64 = 0;
const F_DUPFD_CLOEXEC: u64 = 1030;
/// include/uapi/linux/close_range.h
const CLOSE_RANGE_CLOEXEC: u64 = 1 << 2;
/// `bpf(2)` commands that return a descriptor, as a bit set: MAP_CREATE 0, PROG_LOAD 5, OBJ_GET 7, PROG_GET_FD_BY_ID 13,
/// MAP_GET_FD_BY_ID 14, RAW_TRACEPOINT_OPEN 17, BTF_LOAD 18, BTF_GET_FD_BY_ID 19, LINK_CREATE 28, LINK_GET_FD_BY_ID 30,
/// ENABLE_STATS 32, ITER_CREATE 33, TOKEN_CREATE 36 (include/uapi/linux/bpf.h).
const BPF_COMMANDS: u64 = 1 << 0
    | 1 << 5
    | 1 << 7
    | 1 << 13
    | 1 << 14
    | 1 << 17
    | 1 << 18
    | 1 << 19
    | 1 << 28
    | 1 << 30
    | 1 << 32
    | 1 << 33
    | 1 << 36;

/// A close that reaches us later than this after the number was taken anew is no longer that of the previous owner.
const LATE_CLOSE_NS: u64 = 100_000_000;

/// A system call returned the new descriptor `fd`.
#[inline(always)]
pub(crate) fn opened(actor: &Actor<'_>, kind: Kind, fd: u32) {
    born(actor, kind, fd, Previous::ClosePending);
}

/// `signalfd` makes a descriptor only when it is given -1.
#[inline(always)]
pub(crate) fn signalfd(actor: &Actor<'_>, args: [u64; 4], fd: u32) {
    if args[0] as u32 == u32::MAX {
        opened(actor, Kind::Signalfd, fd);
    }
}

/// `bpf(cmd, ..)`
#[inline(always)]
pub(crate) fn bpf(actor: &Actor<'_>, args: [u64; 4], fd: u32) {
    let command = args[0] as u32;
    if command < 64 && (BPF_COMMANDS >> command) & 1 == 1 {
        opened(actor, Kind::Bpf, fd);
    }
}

/// Two descriptors, written to user memory at `address`.
#[inline(always)]
pub(crate) fn pair(actor: &Actor<'_>, kind: Kind, address: u64) {
    // SAFETY: the helper checks the address and fails instead of faulting.
    if let Ok([first, second]) = unsafe { bpf_probe_read_user(address as *const [u32; 2]) } {
        opened(actor, kind, first);
        opened(actor, kind, second);
    } else {
        count(Counter::ReadFaults);
    }
}

/// `fcntl(fd, cmd, ..)`
#[inline(always)]
pub(crate) fn fcntl(actor: &Actor<'_>, args: [u64; 4], fd: u32) {
    if args[1] == F_DUPFD || args[1] == F_DUPFD_CLOEXEC {
        duplicated(actor, args[0] as u32, fd);
    }
}

/// `new` refers to the same open file as `old`.
#[inline(always)]
pub(crate) fn duplicated(actor: &Actor<'_>, old: u32, new: u32) {
    born(actor, kind_of(actor, old), new, Previous::ClosePending);
}

/// As [`duplicated`]; if `new` was open, the kernel closed it in the same call.
#[inline(always)]
pub(crate) fn duplicated_onto(actor: &Actor<'_>, old: u32, new: u32) {
    if old != new {
        born(actor, kind_of(actor, old), new, Previous::ClosedByThisCall);
    }
}

/// `close(fd)`
#[inline(always)]
pub(crate) fn closed(actor: &Actor<'_>, fd: u32) {
    let Some(slot) = slot(actor.tgid, fd).or_else(|| slot(fd_table(actor.tgid)?, fd)) else {
        count(Counter::UnknownCloses);
        return;
    };
    died(actor, slot, fd);
}

/// Descriptors that one `close_range` is followed over. The verifier follows every iteration, so the bound is also its
/// cost; what is beyond shows in the levels.
const MAX_RANGE: u32 = 1024;

/// `close_range(first, last, flags)`
#[inline(always)]
pub(crate) fn range_closed(actor: &Actor<'_>, args: [u64; 4]) {
    if args[2] & CLOSE_RANGE_CLOEXEC != 0 {
        return;
    }
    let (first, last) = (args[0] as u32, args[1] as u32);
    let slots = Task::current()
        .and_then(Task::files)
        .map_or(0, task::fd_table_slots);
    let Some(table) = fd_table(actor.tgid) else { return };
    for offset in 0..MAX_RANGE {
        let fd = first.wrapping_add(offset);
        if fd > last || fd >= slots {
            return;
        }
        if let Some(slot) = slot(table, fd) {
            died(actor, slot, fd);
        }
    }
    count(Counter::CloseRangeTruncated);
    debug!(
        actor.ctx,
        "process {} closed more than {} descriptors at once", actor.tgid, MAX_RANGE
    );
}

/// What a live entry at a newborn's number means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    /// Its `close` has freed the number but not yet reached `sys_exit`, on another CPU.
    ClosePending,
    /// It was closed by the very call that made the newborn.
    ClosedByThisCall,
}

#[inline(always)]
fn born(actor: &Actor<'_>, kind: Kind, fd: u32, previous: Previous) {
    if fd >= MAX_FD {
        count(Counter::HighFds);
        return;
    }
    let process = process::current(actor.tgid);
    let table = process.as_ref().map_or(actor.tgid, |process| process.fd_table);
    let site = actor.birth(process, kind, 0);
    let Some(slot) = slot(table, fd).or_else(|| new_slot(table, fd)) else {
        count(Counter::FdPagesFull);
        debug!(
            actor.ctx,
            "no room for descriptor {} of process {}", fd, actor.tgid
        );
        return;
    };
    // Not before there is a slot: a sample whose death nothing reports would live for ever.
    let sample = actor.sample(kind, u64::from(fd));
    let mut close_pending = 0;
    if slot.birth_ns != 0 {
        dead(actor, *slot, fd);
        if previous == Previous::ClosePending {
            count(Counter::LateCloses);
            close_pending = CLOSE_PENDING;
        }
    }
    *slot = FdSlot {
        birth_ns: actor.now_ns,
        site: site | close_pending,
        sample,
    };
}

#[inline(always)]
fn died(actor: &Actor<'_>, slot: &mut FdSlot, fd: u32) {
    let before = *slot;
    if before.birth_ns == 0 {
        count(Counter::UnknownCloses);
        return;
    }
    if before.site & CLOSE_PENDING != 0 && actor.now_ns.wrapping_sub(before.birth_ns) < LATE_CLOSE_NS {
        slot.site = before.site & !CLOSE_PENDING;
        return;
    }
    slot.birth_ns = 0;
    dead(actor, before, fd);
}

#[inline(always)]
fn dead(actor: &Actor<'_>, slot: FdSlot, fd: u32) {
    site::death(
        slot.site & !CLOSE_PENDING,
        actor.now_ns.wrapping_sub(slot.birth_ns),
    );
    if slot.sample != NO_SAMPLE {
        feed::send_death(FdClosed {
            header: feed::header(RecordKind::FdClosed, actor.tgid, actor.now_ns),
            birth_ns: slot.birth_ns,
            sample: slot.sample,
            fd,
        });
    }
}

/// The kind of a live descriptor, from the site it was born at.
#[inline(always)]
fn kind_of(actor: &Actor<'_>, fd: u32) -> Kind {
    let site = fd_table(actor.tgid)
        .and_then(|table| slot(table, fd))
        .map_or(OVERFLOW_SITE, |slot| {
            if slot.birth_ns == 0 {
                OVERFLOW_SITE
            } else {
                slot.site & !CLOSE_PENDING
            }
        });
    if site == OVERFLOW_SITE {
        return Kind::Duplicate;
    }
    // SAFETY: a map value; the kind of a site does not change while it has live descriptors.
    let kind = SITES
        .get_ptr(site)
        .map_or(u32::MAX, |counts| unsafe { (*counts).key.kind });
    Kind::try_from(kind).unwrap_or(Kind::Duplicate)
}

#[inline(always)]
fn fd_table(tgid: u32) -> Option<u32> {
    // SAFETY: a map value, which stays valid while a program runs.
    PROCESSES
        .get_ptr(tgid)
        .map(|process| unsafe { (*process).fd_table })
}

#[inline(always)]
fn slot(table: u32, fd: u32) -> Option<&'static mut FdSlot> {
    let page = FD_PAGES.get_ptr_mut(FdPageKey {
        fd_table: table,
        page: fd / FDS_PER_PAGE,
    })?;
    // SAFETY: a map value, which stays valid while a program runs; slots are written as described in `FdSlot`.
    unsafe { (*page).slots.get_mut((fd % FDS_PER_PAGE) as usize) }
}

#[inline(always)]
fn new_slot(table: u32, fd: u32) -> Option<&'static mut FdSlot> {
    let key = FdPageKey {
        fd_table: table,
        page: fd / FDS_PER_PAGE,
    };
    let empty = EMPTY_FD_PAGE.get(0)?;
    // Another thread may have been faster; then its page stands.
    let _ = FD_PAGES.insert(key, empty, u64::from(BPF_NOEXIST));
    slot(table, fd)
}
