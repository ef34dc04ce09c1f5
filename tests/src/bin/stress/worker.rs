//! One worker process: busy threads of several sorts, while its main thread starts and reaps threads and processes.

use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};

use crate::{
    brk, descriptors::Descriptors, die_with_parent, memory::Memory, processes, rng::Rng, shared::Shared,
};

/// Blocked threads that a worker holds at most.
const BLOCKED_THREADS: usize = 24;

/// Children that a worker keeps to the end at most.
const STAYING_CHILDREN: usize = 8;

/// What every worker is told.
pub(crate) struct Plan {
    pub(crate) shared: &'static Shared,
    /// Paths to open: a regular file, a directory, a named FIFO, a device.
    pub(crate) paths: Vec<CString>,
    threads: u32,
}

impl Plan {
    pub(crate) fn new(shared: &'static Shared, dir: &Path, threads: u32) -> Result<Self> {
        std::fs::write(dir.join("file"), [1; 8192])?;
        let fifo = dir.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .context("mkfifo")?;
        let paths = [
            &dir.join("file"),
            dir,
            &fifo,
            Path::new("/dev/null"),
            Path::new("/proc/self/stat"),
        ]
        .map(|path| CString::new(path.as_os_str().as_bytes()));
        Ok(Self {
            shared,
            paths: paths.into_iter().collect::<Result<_, _>>()?,
            threads,
        })
    }
}

/// Forks the `index`th worker.
pub(crate) fn start(plan: &Plan, index: u32, rng: Rng) -> Result<()> {
    let parent = rustix::process::getpid();
    // SAFETY: this process has one thread, so that the child may use all of it.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => {
            die_with_parent(parent.as_raw_nonzero().get());
            run(plan, index, rng)
        }
        pid => {
            plan.shared.stays(pid);
            Ok(())
        }
    }
}

fn run(plan: &Plan, index: u32, mut rng: Rng) -> ! {
    // Workers differ in their limit, and a low one makes calls fail, which must count for nothing.
    let limit = 64 << rng.below(5);
    lower_nofile(limit);
    match index % 4 {
        // The break belongs to the allocator: whoever plays with it must not allocate.
        1 => brk::run(plan.shared, rng),
        2 => alone(plan.shared, rng),
        // Childless, so that its first thread may exit at the end while the others stay.
        3 => mixed(plan, limit, rng, 0, |_thread| Sort::LowestDescriptors),
        _ => mixed(plan, limit, rng, STAYING_CHILDREN, |thread| match thread % 2 {
            0 => Sort::Descriptors,
            _ => Sort::Memory,
        }),
    }
}

/// Only mappings and only one thread: nobody else maps into a hole.
fn alone(shared: &Shared, mut rng: Rng) -> ! {
    let mut memory = Memory::new(true);
    while !shared.stopped() {
        for _ in 0..64 {
            memory.any(&mut rng);
        }
        shared.operations.fetch_add(64, Relaxed);
    }
    shared.rest();
    pause_forever()
}

/// What a busy thread does.
#[derive(Clone, Copy)]
enum Sort {
    Descriptors,
    LowestDescriptors,
    Memory,
}

fn mixed(plan: &Plan, limit: u32, mut rng: Rng, staying_children: usize, sort_of: impl Fn(u32) -> Sort) -> ! {
    let shared = plan.shared;
    let resting = Arc::new(AtomicU32::new(0));
    for index in 0..plan.threads {
        let rng = rng.fork(u64::from(index) + 1);
        let resting = Arc::clone(&resting);
        let descriptors = Descriptors::new(plan.paths.clone(), limit);
        let sort = sort_of(index);
        spawn(move || {
            busy(shared, sort, &descriptors, rng);
            resting.fetch_add(1, Relaxed);
            pause_forever()
        });
    }

    let mut blocked: Vec<JoinHandle<()>> = Vec::new();
    let mut family = processes::Family::new(
        shared,
        Descriptors::new(plan.paths.clone(), limit),
        staying_children,
    );
    while !shared.stopped() {
        match rng.below(4) {
            0 => family.grow_or_shrink(&mut rng),
            // Joined here, parked or, now and then, left to itself.
            1 => drop(spawn(|| ()).join()),
            2 => drop(spawn(thread::yield_now)),
            _ if blocked.len() < BLOCKED_THREADS => blocked.push(spawn(thread::park)),
            _ => {
                let thread = blocked.swap_remove(rng.below(blocked.len()));
                thread.thread().unpark();
                drop(thread.join());
            }
        }
        shared.operations.fetch_add(1, Relaxed);
    }
    while resting.load(Relaxed) < plan.threads {
        thread::yield_now();
    }
    family.settle();
    shared.rest();
    if staying_children == 0 {
        // A leader that exits before its threads. Its children would be told that their parent died: only without any.
        // SAFETY: ends this thread only; nothing on its stack is used by another.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    pause_forever()
}

fn busy(shared: &Shared, sort: Sort, descriptors: &Descriptors, mut rng: Rng) {
    let mut memory = Memory::new(false);
    while !shared.stopped() {
        for _ in 0..64 {
            match sort {
                Sort::Descriptors => descriptors.any(&mut rng),
                Sort::LowestDescriptors => descriptors.lowest(&mut rng),
                Sort::Memory => memory.any(&mut rng),
            }
        }
        shared.operations.fetch_add(64, Relaxed);
    }
    // What it still holds stays mapped and open until the process ends.
}

fn spawn(body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    // Small stacks: there are hundreds of threads.
    thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(body)
        .expect("the number of threads is bounded")
}

/// Keeps still until killed.
pub(crate) fn pause_forever() -> ! {
    loop {
        // SAFETY: plain system call.
        unsafe { libc::pause() };
    }
}

fn lower_nofile(limit: u32) {
    let mut both = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    both.current = Some(limit.into());
    // Lowering is always allowed; with a hard limit below it, that one holds.
    let _higher_than_the_hard_limit = rustix::process::setrlimit(rustix::process::Resource::Nofile, both);
}
