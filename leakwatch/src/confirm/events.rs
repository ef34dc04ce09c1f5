//! Anonymous files of the kernel, by what `fdinfo` shows of them: eventfd, epoll, timerfd, inotify and the like.

use std::fs;

use super::{descriptors::Descriptor, look::Sight, waiters::Waiters};
use crate::clock::{ClockId, now_ns};

/// Deadlines of a timer are compared in steps of this, nanoseconds; what passes between the two clocks is read is less.
const STEP_NS: u64 = 100_000_000;
/// A timer that fires at least this often fires between two looks, nanoseconds.
const OFTEN_NS: u64 = 10_000_000_000;

/// `eventfd`, `eventpoll`, `timerfd`, ...; nothing of what is no anonymous file.
pub(super) fn name(descriptor: &Descriptor) -> Option<String> {
    let link = fs::read_link(descriptor.path()).ok()?;
    let name = link.to_str()?.strip_prefix("anon_inode:")?;
    Some(name.trim_start_matches('[').trim_end_matches(']').to_owned())
}

pub(super) fn sight(descriptor: &Descriptor, name: &str, waiters: &Waiters) -> Option<Sight> {
    let fdinfo = descriptor.fdinfo()?;
    let mark = match name {
        "timerfd" => Some(timer(&fdinfo, now_ns(ClockId::Monotonic))?),
        "eventfd" | "eventpoll" | "signalfd" | "inotify" | "io_uring" | "pidfd" => Some(fdinfo),
        // What is mapped, or called through, leaves no trace.
        _ => None,
    };
    Some(Sight {
        mark,
        // A counter that is written and read back to 0 between the looks looks alike at both.
        is_traceless: waiters.on(descriptor.fd),
        is_in_use: waiters.on_epoll(descriptor.fd),
        ..Sight::default()
    })
}

/// What of a timer changes only when it is set or read. Time left does not: it becomes the deadline.
fn timer(fdinfo: &str, now_ns: u64) -> Option<String> {
    let value = |name: &str| {
        fdinfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let ticks: u64 = value("ticks")?.trim().parse().ok()?;
    let (left_ns, interval_ns) = (
        nanoseconds(value("it_value")?)?,
        nanoseconds(value("it_interval")?)?,
    );
    let deadline = match left_ns {
        // Nobody reads: it fires once and waits for that (fs/timerfd.c, `timerfd_tmrproc`).
        _ if ticks > 0 => "unread".to_owned(),
        0 => "not set".to_owned(),
        // Somebody reads, or its deadline would not move on.
        _ if interval_ns == 0 || interval_ns < OFTEN_NS => {
            (now_ns.saturating_add(left_ns).saturating_add(STEP_NS / 2) / STEP_NS).to_string()
        }
        _ => "seldom".to_owned(),
    };
    let flags = value("settime flags").unwrap_or_default();
    Some(format!("{} {interval_ns} {deadline}", flags.trim()))
}

/// `(seconds, nanoseconds)`.
fn nanoseconds(pair: &str) -> Option<u64> {
    let (seconds, nanoseconds) = pair
        .trim()
        .strip_prefix('(')?
        .strip_suffix(')')?
        .split_once(',')?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanoseconds.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::timer;

    const SECOND_NS: u64 = 1_000_000_000;

    fn text(ticks: u64, left: &str, interval: &str) -> String {
        format!(
            "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1063\nclockid: 1\nticks: {ticks}\nsettime flags: 00\nit_value: {left}\nit_interval: {interval}\n"
        )
    }

    #[test]
    fn a_timer_that_runs_is_not_used_by_that() {
        let before = timer(&text(0, "(49, 406829077)", "(0, 0)"), 100 * SECOND_NS);
        let after = timer(&text(0, "(39, 406800000)", "(0, 0)"), 110 * SECOND_NS);
        assert!(before.is_some() && before == after);
        let set_again = timer(&text(0, "(49, 0)", "(0, 0)"), 110 * SECOND_NS);
        assert_ne!(before, set_again);
    }

    #[test]
    fn a_timer_that_nobody_reads() {
        let before = timer(&text(3, "(0, 0)", "(1, 0)"), 100 * SECOND_NS);
        assert_eq!(before, timer(&text(13, "(0, 0)", "(1, 0)"), 110 * SECOND_NS));
        let read = timer(&text(0, "(0, 500000000)", "(1, 0)"), 100 * SECOND_NS);
        let later = timer(&text(0, "(0, 500000000)", "(1, 0)"), 110 * SECOND_NS);
        assert_ne!(read, later);
    }

    #[test]
    fn nonsense_is_no_timer() {
        for bad in ["", "ticks: 1\n", "ticks: 1\nit_value: 3\nit_interval: (0, 0)\n"] {
            assert_eq!(timer(bad, 0), None, "{bad}");
        }
    }
}
