//! What the threads of a process wait for just now, as far as a system call names one descriptor.

use std::{collections::HashSet, fs};

use super::descriptors::fdinfo;

/// Most threads that are asked.
const MAX_THREADS: usize = 1024;
/// Most epoll instances of which the watched descriptors are read.
const MAX_EPOLLS: usize = 64;

/// Descriptors that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    epolls: HashSet<u64>,
    descriptors: HashSet<u64>,
}

impl Waiters {
    pub(super) fn read(pid: u32) -> Self {
        let mut waiters = Self::default();
        let threads = fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        for thread in threads.take(MAX_THREADS) {
            let call = fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
            match parse(&call) {
                Some((call, fd)) if is_epoll_wait(call) => waiters.epolls.insert(fd),
                Some((call, fd)) if is_read(call) => waiters.descriptors.insert(fd),
                _ => continue,
            };
        }
        for &epoll in waiters.epolls.iter().take(MAX_EPOLLS) {
            let fdinfo = fdinfo(pid, epoll).unwrap_or_default();
            waiters.descriptors.extend(fdinfo.lines().filter_map(watched));
        }
        waiters
    }

    /// Whether a thread waits on this epoll instance.
    pub(super) fn on_epoll(&self, fd: u64) -> bool {
        self.epolls.contains(&fd)
    }

    /// Whether a thread waits for this descriptor, itself or through an epoll instance.
    pub(super) fn on(&self, fd: u64) -> bool {
        self.descriptors.contains(&fd)
    }
}

/// `/proc/PID/task/TID/syscall` of a thread that waits: number and arguments of its system call.
fn parse(text: &str) -> Option<(i64, u64)> {
    let mut fields = text.split_ascii_whitespace();
    let call = fields.next()?.parse().ok()?;
    let fd = fields.next()?.strip_prefix("0x")?;
    Some((call, u64::from_str_radix(fd, 16).ok()?))
}

fn is_epoll_wait(call: i64) -> bool {
    // aarch64 has no epoll_wait.
    #[cfg(target_arch = "x86_64")]
    if call == libc::SYS_epoll_wait {
        return true;
    }
    call == libc::SYS_epoll_pwait || call == libc::SYS_epoll_pwait2
}

fn is_read(call: i64) -> bool {
    [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_recvmmsg,
        libc::SYS_accept,
        libc::SYS_accept4,
    ]
    .contains(&call)
}

/// `tfd:        8 events:       19 data: ...` (fs/eventpoll.c, `ep_show_fdinfo`).
fn watched(line: &str) -> Option<u64> {
    let fd = line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?;
    fd.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_its_first_argument() {
        let text =
            "232 0x5 0x7ffd9dec53f0 0x0 0x0 0x7ffd9dec5300 0x7ffd9dec5310 0x7ffd9dec52d0 0x7f5460db2aec\n";
        assert_eq!(parse(text), Some((232, 5)));
        for other in ["running\n", "", "-1 0x7ffd 0x7f\n", "232\n", "232 5\n"] {
            assert_ne!(parse(other), Some((232, 5)), "{other}");
        }
    }

    #[test]
    fn what_an_epoll_watches() {
        let line = "tfd:        8 events:       19 data: ffffffff00000008  pos:0 ino:1f sdev:8";
        assert_eq!(watched(line), Some(8));
        assert_eq!(watched("pos:\t0"), None);
    }
}
