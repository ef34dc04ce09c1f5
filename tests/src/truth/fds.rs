//! Descriptors by kind.

use std::{collections::BTreeMap, fs, io, os::unix::fs::FileTypeExt, path::Path};

use anyhow::Result;

/// Counts the descriptors of one task.
pub(super) fn by_kind(task: &Path) -> Result<BTreeMap<String, u32>> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(task.join("fd"))? {
        let path = entry?.path();
        let link = match fs::read_link(&path) {
            Ok(link) => link,
            // Closed since the directory was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let named_fifo = || fs::metadata(&path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        let kind = match kind_of_link(&link.to_string_lossy()) {
            "file" if named_fifo() => "pipe",
            kind => kind,
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    Ok(kinds)
}

/// The name leakwatch has for the kind of descriptor that `/proc/PID/fd/N` links to `link`.
pub fn kind_of_link(link: &str) -> &'static str {
    if link.starts_with("/memfd:") {
        return "memfd";
    }
    if link.starts_with('/') {
        return "file";
    }
    let Some(name) = link.strip_prefix("anon_inode:") else {
        return match link.split_once(":[").map_or(link, |(name, _inode)| name) {
            "socket" => "socket",
            "pipe" => "pipe",
            _ => "other",
        };
    };
    // Most, not all, names are in brackets (fs/anon_inodes.c prints what the caller chose).
    match name.trim_start_matches('[').trim_end_matches(']') {
        "eventfd" => "eventfd",
        "eventpoll" => "epoll",
        "timerfd" => "timerfd",
        "signalfd" => "signalfd",
        "inotify" => "inotify",
        "pidfd" => "pidfd",
        "userfaultfd" => "userfaultfd",
        "perf_event" => "perf_event",
        "io_uring" => "io_uring",
        "fanotify" => "fanotify",
        bpf if bpf.starts_with("bpf") || bpf == "btf" => "bpf",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::fd::{FromRawFd, OwnedFd},
    };

    use super::{super::Truth, kind_of_link};

    #[test]
    fn links_have_kinds() {
        for (link, kind) in [
            ("/dev/null", "file"),
            ("/var/log/syslog (deleted)", "file"),
            ("/memfd:x (deleted)", "memfd"),
            ("socket:[1234]", "socket"),
            ("pipe:[1234]", "pipe"),
            ("net:[4026531840]", "other"),
            ("anon_inode:[eventfd]", "eventfd"),
            ("anon_inode:[eventpoll]", "epoll"),
            ("anon_inode:inotify", "inotify"),
            ("anon_inode:bpf-map", "bpf"),
            ("anon_inode:bpf_link", "bpf"),
            ("anon_inode:[bpf_iter]", "bpf"),
            ("anon_inode:btf", "bpf"),
            ("anon_inode:[fscontext]", "other"),
        ] {
            assert_eq!(kind_of_link(link), kind, "{link}");
        }
    }

    /// Kinds as this process sees them before and after it opened some. Other tests run beside this one, so it asks
    /// for kinds that none of them opens.
    #[test]
    fn counts_what_was_opened() {
        let count = |kind: &str| {
            let truth = Truth::read(std::process::id()).unwrap().unwrap();
            truth.fd_kinds.get(kind).copied().unwrap_or(0)
        };
        let owned = |fd: i32| {
            assert!(fd >= 0);
            // SAFETY: the system call just returned it and nothing else owns it.
            unsafe { OwnedFd::from_raw_fd(fd) }
        };
        let (timers, notifies) = (count("timerfd"), count("inotify"));
        // SAFETY: takes no pointer.
        let timer = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) });
        // SAFETY: takes no pointer.
        let notify = || owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) });
        let _notifies = [notify(), notify()];
        assert_eq!((count("timerfd"), count("inotify")), (timers + 1, notifies + 2));
        drop(timer);
        assert_eq!(count("timerfd"), timers);
    }

    #[test]
    fn a_named_fifo_is_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let _fifo = File::options().read(true).write(true).open(&path).unwrap();
        let task = std::path::Path::new("/proc/self");
        assert!(super::by_kind(task).unwrap()["pipe"] >= 1);
    }
}
