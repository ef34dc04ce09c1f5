//! What a site gives out.

use crate::discriminants;

discriminants! {
    /// The kind of thing that a call site takes from, or gives back to, the kernel.
    ///
    /// The first block are file descriptors, named as `/proc/PID/fd` shows them.
    pub enum Kind {
        /// `open`, `openat`, `openat2`, `creat`: regular files, directories, devices.
        File = 0,
        /// `socket`, `socketpair`, `accept`, `accept4`.
        Socket = 1,
        /// `pipe`, `pipe2`; a named FIFO that was opened shows as this in the levels.
        Pipe = 2,
        /// `eventfd`, `eventfd2`.
        Eventfd = 3,
        /// `epoll_create`, `epoll_create1`.
        Epoll = 4,
        /// `timerfd_create`.
        Timerfd = 5,
        /// `signalfd`, `signalfd4`.
        Signalfd = 6,
        /// `inotify_init`, `inotify_init1`.
        Inotify = 7,
        /// `memfd_create`.
        Memfd = 8,
        /// `pidfd_open`.
        Pidfd = 9,
        /// `userfaultfd`.
        Userfaultfd = 10,
        /// `perf_event_open`.
        PerfEvent = 11,
        /// `io_uring_setup`.
        IoUring = 12,
        /// `fanotify_init`.
        Fanotify = 13,
        /// `bpf`: maps, programs, links and the rest.
        Bpf = 14,
        /// Copied from a descriptor whose own birth was not seen: `dup*`, `F_DUPFD`, `pidfd_getfd`.
        Duplicate = 15,
        /// Every other anonymous inode.
        Other = 16,
        /// A thread, born by `clone` or `clone3` in its own process.
        Thread = 17,
        /// Anonymous memory taken by `mmap`, or by the growing half of `mremap`.
        Mapping = 18,
        /// Memory given back by `munmap`, or by the shrinking half of `mremap`; may cover mappings of any site.
        Unmapping = 19,
        /// `brk` that raised the program break.
        BrkGrow = 20,
        /// `brk` that lowered the program break.
        BrkShrink = 21,
        /// `madvise` with `MADV_DONTNEED` or `MADV_FREE`: stays mapped, given back.
        Discard = 22,
        /// First touch of memory: a sampled page fault. Never given back as such.
        FirstTouch = 23,
        /// Memory taken from an allocator in the process itself; only while that process is traced.
        Allocation = 24,
    }
}

impl Kind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// How many of the kinds, from the first, are file descriptors.
    pub const FD_COUNT: usize = Self::Thread as usize;

    /// As it is written in reports and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::Eventfd => "eventfd",
            Self::Epoll => "epoll",
            Self::Timerfd => "timerfd",
            Self::Signalfd => "signalfd",
            Self::Inotify => "inotify",
            Self::Memfd => "memfd",
            Self::Pidfd => "pidfd",
            Self::Userfaultfd => "userfaultfd",
            Self::PerfEvent => "perf_event",
            Self::IoUring => "io_uring",
            Self::Fanotify => "fanotify",
            Self::Bpf => "bpf",
            Self::Duplicate => "duplicate",
            Self::Other => "other",
            Self::Thread => "thread",
            Self::Mapping => "mapping",
            Self::Unmapping => "unmapping",
            Self::BrkGrow => "brk_grow",
            Self::BrkShrink => "brk_shrink",
            Self::Discard => "discard",
            Self::FirstTouch => "first_touch",
            Self::Allocation => "allocation",
        }
    }

    /// Whether each birth of this kind is also one record of a changed address space.
    pub const fn changes_address_space(self) -> bool {
        matches!(
            self,
            Self::Mapping | Self::Unmapping | Self::BrkGrow | Self::BrkShrink | Self::Discard
        )
    }

    /// Whether this is a file descriptor.
    pub const fn is_fd(self) -> bool {
        (self as usize) < Self::FD_COUNT
    }
}

const _: () = assert!(Kind::COUNT == 25);
