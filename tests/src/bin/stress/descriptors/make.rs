//! Every system call that makes a descriptor.

use std::{
    ffi::{CStr, CString, c_int},
    mem,
    os::fd::RawFd,
    ptr,
};

use super::close;
use crate::rng::Rng;

/// Makes one descriptor (or a pair) of a random kind.
pub(super) fn any(paths: &[CString], rng: &mut Rng) {
    // Slow in the kernel, or limited for each user: seldom.
    if rng.one_in(96) {
        return seldom(rng);
    }
    // Non-blocking: another thread may take it for its own, read from it, and wait for ever.
    let flags = libc::O_NONBLOCK | if rng.one_in(2) { libc::O_CLOEXEC } else { 0 };
    let mut pair: [c_int; 2] = [-1; 2];
    let path = &paths[rng.below(paths.len())];
    // SAFETY: plain system calls with valid pointers to live memory; what they return is not owned by anything.
    unsafe {
        match rng.below(14) {
            0..=2 => drop(open(path, rng)),
            3 => drop(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | flags, 0)),
            4 => drop(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | flags, 0)),
            5 => drop(libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | flags,
                libc::NETLINK_ROUTE,
            )),
            6 => drop(libc::socketpair(
                libc::AF_UNIX,
                libc::SOCK_DGRAM | flags,
                0,
                pair.as_mut_ptr(),
            )),
            7 => drop(libc::pipe2(pair.as_mut_ptr(), flags)),
            8 => drop(libc::eventfd(0, flags)),
            9 => drop(libc::epoll_create1(flags & !libc::O_NONBLOCK)),
            10 => drop(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)),
            11 => {
                let mut signals: libc::sigset_t = mem::zeroed();
                libc::sigemptyset(&raw mut signals);
                libc::sigaddset(&raw mut signals, libc::SIGUSR1);
                libc::signalfd(-1, &raw const signals, flags);
            }
            12 => drop(libc::memfd_create(c"stress".as_ptr(), 0)),
            _ => drop(without_flags(rng)),
        }
    }
}

/// `open`, `openat`, `openat2` or `creat`.
pub(super) fn open(path: &CStr, rng: &mut Rng) -> RawFd {
    let how = [(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC) as u64, 0, 0];
    // SAFETY: the path is a C string, and `how` is a `struct open_how` of the size given.
    let fd = unsafe {
        match rng.below(4) {
            0 => libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                path.as_ptr(),
                how.as_ptr(),
                size_of_val(&how),
            ),
            #[cfg(target_arch = "x86_64")]
            1 => libc::syscall(libc::SYS_open, path.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK),
            #[cfg(target_arch = "x86_64")]
            2 if rng.one_in(4) => libc::syscall(libc::SYS_creat, c"/dev/null".as_ptr(), 0o600),
            _ => libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                path.as_ptr(),
                libc::O_RDONLY | libc::O_NONBLOCK,
            ),
        }
    };
    RawFd::try_from(fd).unwrap_or(-1)
}

/// The calls of old that later ones with flags replaced.
#[cfg(target_arch = "x86_64")]
fn without_flags(rng: &mut Rng) -> libc::c_long {
    let mut pair: [c_int; 2] = [-1; 2];
    let signals = 0_u64;
    // SAFETY: plain system calls with valid pointers to live memory.
    unsafe {
        let made = match rng.below(4) {
            0 => libc::syscall(libc::SYS_pipe, pair.as_mut_ptr()),
            1 => libc::syscall(libc::SYS_eventfd, 0),
            2 => libc::syscall(libc::SYS_epoll_create, 1),
            _ => libc::syscall(libc::SYS_signalfd, -1, &raw const signals, size_of_val(&signals)),
        };
        for fd in [c_int::try_from(made).unwrap_or(-1), pair[0], pair[1]] {
            if fd > 2 {
                libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
            }
        }
        made
    }
}

/// Later architectures never had them.
#[cfg(not(target_arch = "x86_64"))]
fn without_flags(_rng: &mut Rng) -> c_int {
    // SAFETY: plain system call.
    unsafe { libc::eventfd(0, 0) }
}

fn seldom(rng: &mut Rng) {
    // SAFETY: plain system calls; each buffer is the zeroed structure of the call, as large as the size given or, for
    // io_uring_setup, as the kernel expects.
    unsafe {
        let own = std::process::id();
        match rng.below(8) {
            0 => drop(libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK)),
            1 => drop(libc::syscall(libc::SYS_pidfd_open, own, 0)),
            2 => {
                let pidfd = libc::syscall(libc::SYS_pidfd_open, own, 0);
                libc::syscall(libc::SYS_pidfd_getfd, pidfd, rng.below(16), 0);
            }
            // UFFD_USER_MODE_ONLY
            3 => drop(libc::syscall(
                libc::SYS_userfaultfd,
                libc::O_CLOEXEC | libc::O_NONBLOCK | 1,
            )),
            4 => {
                // struct perf_event_attr: type PERF_TYPE_SOFTWARE, size PERF_ATTR_SIZE_VER5, config PERF_COUNT_SW_DUMMY.
                let mut attributes = [0_u32; 28];
                (attributes[0], attributes[1], attributes[2]) = (1, 112, 9);
                libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0);
            }
            5 => {
                let mut parameters = [0_u32; 30];
                libc::syscall(libc::SYS_io_uring_setup, 2, parameters.as_mut_ptr());
            }
            6 => drop(libc::fanotify_init(libc::FAN_CLASS_NOTIF, 0)),
            _ => {
                // union bpf_attr for BPF_MAP_CREATE: BPF_MAP_TYPE_ARRAY, key_size, value_size, max_entries.
                let attributes = [2_u32, 4, 8, 1];
                libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes));
            }
        }
    }
}

/// A connection over loopback: `accept` or `accept4` makes a descriptor; some of the three stay open.
pub(super) fn connection(rng: &mut Rng) {
    // Few over TCP: the ports are the host's.
    let fds = if rng.one_in(16) { tcp(rng) } else { unix(rng) };
    for fd in fds {
        if !rng.one_in(4) {
            close(fd);
        }
    }
}

fn tcp(rng: &mut Rng) -> [RawFd; 3] {
    // SAFETY: a zeroed `sockaddr_in` is valid.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    connect(
        libc::AF_INET,
        (&raw mut address).cast(),
        size_of_val(&address),
        rng,
    )
}

fn unix(rng: &mut Rng) -> [RawFd; 3] {
    // SAFETY: a zeroed `sockaddr_un` is valid.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // Bound to the family alone, the kernel chooses an abstract name (unix(7), "Autobind feature").
    connect(
        libc::AF_UNIX,
        (&raw mut address).cast(),
        size_of::<libc::sa_family_t>(),
        rng,
    )
}

/// `address` must have room for whatever name the family gives.
fn connect(family: c_int, address: *mut libc::sockaddr, length: usize, rng: &mut Rng) -> [RawFd; 3] {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
    // Reset instead of a TIME_WAIT that would use up the host's ports.
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let room = match family {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        _ => size_of::<libc::sockaddr_un>(),
    };
    // SAFETY: plain system calls; `address` has `room` bytes. Other threads may close or replace any of these numbers
    // meanwhile; then a call fails, and nothing blocks because all sockets here are non-blocking.
    unsafe {
        let listener = libc::socket(family, kind, 0);
        let client = libc::socket(family, kind, 0);
        for fd in [listener, client] {
            let size = size_of_val(&linger) as libc::socklen_t;
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size,
            );
        }
        let mut named = room as libc::socklen_t;
        libc::bind(listener, address, length as libc::socklen_t);
        libc::listen(listener, 1);
        libc::getsockname(listener, address, &raw mut named);
        libc::connect(client, address, named);
        let accepted = match rng.below(2) {
            0 => libc::accept(listener, ptr::null_mut(), ptr::null_mut()),
            _ => libc::accept4(listener, ptr::null_mut(), ptr::null_mut(), libc::SOCK_CLOEXEC),
        };
        [listener, client, accepted]
    }
}
