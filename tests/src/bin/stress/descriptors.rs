//! Descriptors: made, copied, received and closed in every way, on numbers that several threads fight over.

mod make;
mod pass;

use std::{ffi::CString, os::fd::RawFd};

use crate::rng::Rng;

/// Numbers below this are fought over by [`Descriptors::lowest`].
const LOWEST: usize = 8;

/// What is needed to play with the descriptors of a process. Allocates nothing after `new`, so that a child of `fork`
/// may use it.
pub(crate) struct Descriptors {
    paths: Vec<CString>,
    /// `RLIMIT_NOFILE`, which also bounds how many there can be.
    limit: usize,
}

impl Descriptors {
    pub(crate) fn new(paths: Vec<CString>, limit: u32) -> Self {
        Self {
            paths,
            limit: limit as usize,
        }
    }

    /// Does one random thing. Which of its calls fail, because a number is not open or the limit is reached, is up to
    /// the other threads.
    pub(crate) fn any(&self, rng: &mut Rng) {
        match rng.below(16) {
            0..=4 => self.make(rng),
            5..=7 => self.copy(rng),
            8 => self.pass(rng),
            9 => make::connection(rng),
            10 if rng.one_in(4) => self.close_several(rng),
            _ => close(self.number(rng)),
        }
    }

    /// Opens and closes at once: the number goes to another thread before this thread's `close` is back from the kernel.
    pub(crate) fn lowest(&self, rng: &mut Rng) {
        match rng.below(64) {
            0 => close(rng.below(LOWEST) as RawFd),
            1 => self.make(rng),
            2 => dup2(rng.below(LOWEST) as RawFd, rng.below(LOWEST) as RawFd),
            3 => self.close_several(rng),
            _ => close(make::open(&self.paths[rng.below(self.paths.len())], rng)),
        }
    }

    /// Marks some of them as not to survive `execve`.
    pub(crate) fn set_close_on_exec(&self, rng: &mut Rng) {
        for _ in 0..self.limit {
            // SAFETY: plain system call on a number that may be anything.
            unsafe { libc::fcntl(self.number(rng), libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }

    fn number(&self, rng: &mut Rng) -> RawFd {
        rng.below(self.limit) as RawFd
    }

    fn make(&self, rng: &mut Rng) {
        make::any(&self.paths, rng);
    }

    fn copy(&self, rng: &mut Rng) {
        let (from, to) = (self.number(rng), self.number(rng));
        let close_on_exec = if rng.one_in(2) { libc::O_CLOEXEC } else { 0 };
        match rng.below(6) {
            // SAFETY: plain system call on a number that may be anything.
            0 => drop(unsafe { libc::dup(from) }),
            1 | 2 => dup2(from, to),
            // SAFETY: as above.
            3 => drop(unsafe { libc::dup3(from, to, close_on_exec) }),
            // SAFETY: as above.
            4 => drop(unsafe { libc::fcntl(from, libc::F_DUPFD, to) }),
            // SAFETY: as above.
            _ => drop(unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, to) }),
        }
    }

    fn close_several(&self, rng: &mut Rng) {
        let first = rng.below(self.limit);
        let last = first + rng.below(self.limit / 4);
        let flags = if rng.one_in(4) {
            libc::CLOSE_RANGE_CLOEXEC
        } else {
            0
        };
        // SAFETY: plain system call on numbers that may be anything; the table itself stays shared.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    }
}

fn dup2(from: RawFd, to: RawFd) {
    // SAFETY: plain system call on numbers that may be anything.
    unsafe { libc::dup2(from, to) };
}

/// Closes a number, whoever has it.
fn close(fd: RawFd) {
    // SAFETY: no descriptor of this program is owned by a Rust object once its workers run.
    unsafe { libc::close(fd) };
}
