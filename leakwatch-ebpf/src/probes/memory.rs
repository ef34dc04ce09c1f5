//! Anonymous memory taken from and given back to the kernel.

use aya_ebpf::programs::BtfTracePointContext;
use leakwatch_common::{
    kind::Kind,
    record::{AddressSpaceChanged, RecordKind, Remapped},
    site::Process,
    stack::NO_SAMPLE,
};

use crate::{feed, globals::setting, process, site::Actor as SiteActor};

type Actor<'a> = SiteActor<'a, BtfTracePointContext>;

/// include/uapi/linux/mman.h, include/uapi/asm-generic/mman-common.h
const MAP_PRIVATE: u64 = 0x02;
const MAP_TYPE: u64 = 0x0f;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MREMAP_DONTUNMAP: u64 = 4;
const MADV_DONTNEED: u64 = 4;
const MADV_FREE: u64 = 8;

/// `mmap(addr, len, prot, flags, ..)`
#[inline(always)]
pub(crate) fn mapped(actor: &Actor<'_>, args: [u64; 4], addr: u64) {
    let (len, flags) = (whole_pages(args[1]), args[3]);
    if flags & MAP_ANONYMOUS != 0 && flags & MAP_TYPE == MAP_PRIVATE {
        actor.birth(process::current(actor.tgid), Kind::Mapping, len);
        let sample = actor.sample(Kind::Mapping, addr);
        changed(actor, RecordKind::Mapped, addr, len, sample);
    } else if flags & MAP_FIXED != 0 {
        // Whatever anonymous memory was there is gone, without an munmap.
        actor.birth(process::current(actor.tgid), Kind::Unmapping, 0);
        changed(actor, RecordKind::Unmapped, addr, len, NO_SAMPLE);
    }
}

/// `munmap(addr, len)`
#[inline(always)]
pub(crate) fn unmapped(actor: &Actor<'_>, args: [u64; 4]) {
    let len = whole_pages(args[1]);
    actor.birth(process::current(actor.tgid), Kind::Unmapping, len);
    changed(actor, RecordKind::Unmapped, args[0], len, NO_SAMPLE);
}

/// `mremap(old_addr, old_len, new_len, flags)`
#[inline(always)]
pub(crate) fn remapped(actor: &Actor<'_>, args: [u64; 4], new_addr: u64) {
    let (old_len, new_len) = (whole_pages(args[1]), whole_pages(args[2]));
    let process = process::current(actor.tgid);
    let mut sample = NO_SAMPLE;
    if args[3] & MREMAP_DONTUNMAP != 0 {
        actor.birth(process, Kind::Mapping, new_len);
        sample = actor.sample(Kind::Mapping, new_addr);
    } else if new_len >= old_len {
        actor.birth(process, Kind::Mapping, new_len - old_len);
        sample = actor.sample(Kind::Mapping, new_addr.wrapping_add(old_len));
    } else {
        actor.birth(process, Kind::Unmapping, old_len - new_len);
    }
    if args[3] & MREMAP_DONTUNMAP != 0 {
        changed(actor, RecordKind::Mapped, new_addr, new_len, sample);
        return;
    }
    let header = feed::header(RecordKind::Remapped, actor.tgid, actor.now_ns);
    feed::send_change(
        actor.now_ns,
        Remapped {
            header,
            old_addr: args[0],
            old_len,
            new_addr,
            new_len,
            sample,
            reserved: 0,
        },
    );
}

/// `brk(..)`, whose result is the program break, moved or not.
#[inline(always)]
pub(crate) fn brk(actor: &Actor<'_>, brk: u64) {
    let Some(process) = process::current(actor.tgid) else {
        return;
    };
    let Process { brk: before, .. } = *process;
    process.brk = brk;
    if brk == before || before == 0 {
        return;
    }
    let mut sample = NO_SAMPLE;
    if brk > before {
        actor.birth(Some(process), Kind::BrkGrow, brk - before);
        sample = actor.sample(Kind::BrkGrow, before);
    } else {
        actor.birth(Some(process), Kind::BrkShrink, before - brk);
    }
    changed(actor, RecordKind::BrkSet, brk, 0, sample);
}

/// `madvise(addr, len, advice)`
#[inline(always)]
pub(crate) fn advised(actor: &Actor<'_>, args: [u64; 4]) {
    if args[2] == MADV_DONTNEED || args[2] == MADV_FREE {
        let len = whole_pages(args[1]);
        actor.birth(process::current(actor.tgid), Kind::Discard, len);
        changed(actor, RecordKind::Discarded, args[0], len, NO_SAMPLE);
    }
}

#[inline(always)]
fn changed(actor: &Actor<'_>, kind: RecordKind, addr: u64, len: u64, sample: u32) {
    let header = feed::header(kind, actor.tgid, actor.now_ns);
    feed::send_change(
        actor.now_ns,
        AddressSpaceChanged {
            header,
            addr,
            len,
            sample,
            reserved: 0,
        },
    );
}

/// The kernel rounds every length up to whole pages.
#[inline(always)]
fn whole_pages(len: u64) -> u64 {
    let page = u64::from(setting!(page_bytes));
    len.wrapping_add(page - 1) & !(page - 1)
}
