//! `tp_btf/sys_exit`: one hook sees the arguments and the result of every system call.
//!
//! The registers still hold the arguments at exit, so there is no enter probe and no table of calls in flight. The kernel
//! runs this on *every* system call of the host: what is not in the table below leaves after one load and one compare.

use aya_ebpf::{EbpfContext as _, macros::btf_tracepoint, programs::BtfTracePointContext};
use leakwatch_common::{counter::Counter, kind::Kind};

use super::{fd, memory};
use crate::{arch::Registers, clock, counters::count, kernel::task::Task, site::Actor};

/// What a system call does, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Call {
    Untraced,
    /// Returns a new descriptor of the `Kind` that [`CALLS`] holds beside it.
    Open,
    Signalfd,
    Bpf,
    Pipe,
    Socketpair,
    Dup,
    Dup2,
    Fcntl,
    Close,
    CloseRange,
    Mmap,
    Munmap,
    Mremap,
    Brk,
    Madvise,
}

/// System call numbers below this are looked up; none that is traced is above.
const NUMBERS: usize = 512;

/// By system call number.
static CALLS: [(Call, u8); NUMBERS] = table();

#[cfg(bpf_target_arch = "x86_64")]
const fn table() -> [(Call, u8); NUMBERS] {
    let mut table = shared_table([291, 213, 425, 438, 437, 447, 319, 323, 298, 321, 300, 304]);
    set(&mut table, &[2, 85, 240, 257], Call::Open, Kind::File); // open creat mq_open openat
    set(&mut table, &[41, 43, 288], Call::Open, Kind::Socket); // socket accept accept4
    set(&mut table, &[284, 290], Call::Open, Kind::Eventfd);
    set(&mut table, &[283], Call::Open, Kind::Timerfd);
    set(&mut table, &[253, 294], Call::Open, Kind::Inotify);
    set(&mut table, &[282, 289], Call::Signalfd, Kind::Signalfd);
    set(&mut table, &[22, 293], Call::Pipe, Kind::Pipe);
    set(&mut table, &[53], Call::Socketpair, Kind::Socket);
    set(&mut table, &[32], Call::Dup, Kind::Duplicate);
    set(&mut table, &[33, 292], Call::Dup2, Kind::Duplicate); // dup2 dup3
    set(&mut table, &[72], Call::Fcntl, Kind::Duplicate);
    set(&mut table, &[3], Call::Close, Kind::Other);
    set(&mut table, &[9], Call::Mmap, Kind::Mapping);
    set(&mut table, &[11], Call::Munmap, Kind::Unmapping);
    set(&mut table, &[25], Call::Mremap, Kind::Mapping);
    set(&mut table, &[12], Call::Brk, Kind::BrkGrow);
    set(&mut table, &[28], Call::Madvise, Kind::Discard);
    table
}

#[cfg(bpf_target_arch = "aarch64")]
const fn table() -> [(Call, u8); NUMBERS] {
    let mut table = shared_table([20, 20, 425, 438, 437, 447, 279, 282, 241, 280, 262, 265]);
    set(&mut table, &[56, 180], Call::Open, Kind::File); // openat mq_open
    set(&mut table, &[198, 202, 242], Call::Open, Kind::Socket); // socket accept accept4
    set(&mut table, &[19], Call::Open, Kind::Eventfd);
    set(&mut table, &[85], Call::Open, Kind::Timerfd);
    set(&mut table, &[26], Call::Open, Kind::Inotify);
    set(&mut table, &[74], Call::Signalfd, Kind::Signalfd);
    set(&mut table, &[59], Call::Pipe, Kind::Pipe);
    set(&mut table, &[199], Call::Socketpair, Kind::Socket);
    set(&mut table, &[23], Call::Dup, Kind::Duplicate);
    set(&mut table, &[24], Call::Dup2, Kind::Duplicate); // dup3
    set(&mut table, &[25], Call::Fcntl, Kind::Duplicate);
    set(&mut table, &[57], Call::Close, Kind::Other);
    set(&mut table, &[222], Call::Mmap, Kind::Mapping);
    set(&mut table, &[215], Call::Munmap, Kind::Unmapping);
    set(&mut table, &[216], Call::Mremap, Kind::Mapping);
    set(&mut table, &[214], Call::Brk, Kind::BrkGrow);
    set(&mut table, &[233], Call::Madvise, Kind::Discard);
    table
}

/// Calls that exist on both architectures, by the numbers given in this order; from `pidfd_open` on (5.1 and later) the
/// numbers are the same everywhere.
const fn shared_table(numbers: [usize; 12]) -> [(Call, u8); NUMBERS] {
    let [
        epoll_create1,
        epoll_create,
        io_uring_setup,
        pidfd_getfd,
        openat2,
        memfd_secret,
        memfd_create,
        userfaultfd,
        perf_event_open,
        bpf,
        fanotify_init,
        open_by_handle_at,
    ] = numbers;
    let mut table = [(Call::Untraced, 0); NUMBERS];
    set(&mut table, &[openat2, open_by_handle_at], Call::Open, Kind::File);
    set(
        &mut table,
        &[epoll_create, epoll_create1],
        Call::Open,
        Kind::Epoll,
    );
    set(&mut table, &[io_uring_setup], Call::Open, Kind::IoUring);
    set(&mut table, &[434], Call::Open, Kind::Pidfd); // pidfd_open
    set(&mut table, &[pidfd_getfd], Call::Open, Kind::Duplicate);
    set(&mut table, &[memfd_create], Call::Open, Kind::Memfd);
    set(&mut table, &[memfd_secret], Call::Open, Kind::Other);
    set(&mut table, &[userfaultfd], Call::Open, Kind::Userfaultfd);
    set(&mut table, &[perf_event_open], Call::Open, Kind::PerfEvent);
    set(&mut table, &[fanotify_init], Call::Open, Kind::Fanotify);
    set(&mut table, &[bpf], Call::Bpf, Kind::Bpf);
    set(&mut table, &[436], Call::CloseRange, Kind::Other);
    table
}

const fn set(table: &mut [(Call, u8); NUMBERS], numbers: &[usize], call: Call, kind: Kind) {
    let mut index = 0;
    while index < numbers.len() {
        table[numbers[index]] = (call, kind as u8);
        index += 1;
    }
}

/// Results from here up are errors, negated (`MAX_ERRNO`, include/linux/err.h).
const FIRST_ERROR: u64 = (-4095_i64).cast_unsigned();

/// `sys_exit(regs, ret)`
#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> u32 {
    let registers = ctx.arg::<*const Registers>(0);
    // SAFETY: the kernel passes valid registers; the verifier checks each access by BTF.
    let registers = unsafe { &*registers };
    let number = registers.syscall() as usize;
    if number >= NUMBERS {
        return 0;
    }
    let (call, kind) = CALLS[number];
    if call == Call::Untraced {
        return 0;
    }
    let ret = ctx.arg::<u64>(1);
    if ret >= FIRST_ERROR {
        return 0;
    }
    if Task::current().is_none_or(Task::in_compat_syscall) {
        count(Counter::CompatSkipped);
        return 0;
    }
    let actor = Actor {
        ctx: &ctx,
        tgid: ctx.tgid(),
        sp: registers.sp(),
        now_ns: clock::now_ns(),
    };
    let args = registers.args();
    let fd = ret as u32;
    match call {
        Call::Untraced => {}
        Call::Open => fd::opened(&actor, KINDS[usize::from(kind) & KIND_MASK], fd),
        Call::Signalfd => fd::signalfd(&actor, args, fd),
        Call::Bpf => fd::bpf(&actor, args, fd),
        Call::Pipe => fd::pair(&actor, Kind::Pipe, args[0]),
        Call::Socketpair => fd::pair(&actor, Kind::Socket, args[3]),
        Call::Dup => fd::duplicated(&actor, args[0] as u32, fd),
        Call::Dup2 => fd::duplicated_onto(&actor, args[0] as u32, fd),
        Call::Fcntl => fd::fcntl(&actor, args, fd),
        Call::Close => fd::closed(&actor, args[0] as u32),
        Call::CloseRange => fd::range_closed(&actor, args),
        Call::Mmap => memory::mapped(&actor, args, ret),
        Call::Munmap => memory::unmapped(&actor, args),
        Call::Mremap => memory::remapped(&actor, args, ret),
        Call::Brk => memory::brk(&actor, ret),
        Call::Madvise => memory::advised(&actor, args),
    }
    0
}

/// [`Kind`] by discriminant: what a new descriptor can be.
static KINDS: [Kind; KIND_MASK + 1] = kinds();
const KIND_MASK: usize = 31;

const fn kinds() -> [Kind; KIND_MASK + 1] {
    let mut kinds = [Kind::Other; KIND_MASK + 1];
    let mut index = 0;
    while index < Kind::FD_COUNT {
        kinds[index] = Kind::ALL[index];
        index += 1;
    }
    kinds
}
