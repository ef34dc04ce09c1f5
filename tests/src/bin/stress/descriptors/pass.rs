//! Descriptors that arrive over a socket (`SCM_RIGHTS`): no system call returns them.

use std::{mem, os::fd::RawFd, ptr};

use super::{Descriptors, close};
use crate::rng::Rng;

/// Room for a control message with three descriptors, aligned as `cmsghdr` wants it.
type Control = [u64; 4];

impl Descriptors {
    /// Sends up to three descriptors to this same process and takes them, some of them or none.
    pub(super) fn pass(&self, rng: &mut Rng) {
        let mut pair: [RawFd; 2] = [-1; 2];
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK;
        // SAFETY: the array has room for both.
        if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) } != 0 {
            return;
        }
        let fds = [self.number(rng), self.number(rng), self.number(rng)];
        if send(pair[0], &fds[..=rng.below(3)]) && !rng.one_in(8) {
            // A buffer that is too small makes the kernel close what does not fit.
            let room = if rng.one_in(8) { 20 } else { size_of::<Control>() };
            for fd in receive(pair[1], room).into_iter().flatten() {
                if !rng.one_in(3) {
                    close(fd);
                }
            }
        }
        close(pair[0]);
        close(pair[1]);
    }
}

/// Sends `fds`, three at most.
pub(crate) fn send(socket: RawFd, fds: &[RawFd]) -> bool {
    let mut byte = [0_u8];
    let mut control: Control = [0; 4];
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let size = size_of_val(fds) as u32;
    // SAFETY: `control` holds a header and three descriptors, and is aligned for them; all pointers are to live memory.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        ptr::copy_nonoverlapping(fds.as_ptr(), libc::CMSG_DATA(header).cast(), fds.len());
        libc::sendmsg(
            socket,
            &raw const message,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        ) == 1
    }
}

/// Receives what waits, three at most, into a control buffer of `room` bytes.
pub(crate) fn receive(socket: RawFd, room: usize) -> [Option<RawFd>; 3] {
    let mut byte = [0_u8];
    let mut control: Control = [0; 4];
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut received = [None; 3];
    // SAFETY: as in `send`; the kernel writes `room` bytes at most, and each descriptor read lies inside `cmsg_len`.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = room.min(size_of::<Control>()) as _;
        if libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT) != 1 {
            return received;
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return received;
        }
        let count = ((*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
        let first: *const RawFd = libc::CMSG_DATA(header).cast();
        for (index, slot) in received.iter_mut().take(count).enumerate() {
            *slot = Some(ptr::read_unaligned(first.add(index)));
        }
    }
    received
}
