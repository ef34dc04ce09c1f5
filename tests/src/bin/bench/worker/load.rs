//! System calls in tight loops on one processor.

use std::{
    ffi::{c_int, c_long, c_void},
    hint::black_box,
    io, ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

use crate::spread::Spread;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Processor to stay on
    #[arg(long)]
    cpu: usize,
    /// Time for each operation
    #[arg(long)]
    milliseconds: u64,
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// What was called.
    pub(crate) operation: String,
    /// Whether leakwatch counts these calls.
    pub(crate) traced: bool,
    /// Median over chunks.
    pub(crate) ns: f64,
}

/// Chunks that the time of an operation is divided into: an interruption costs one of them, not the median.
const CHUNKS: u32 = 15;

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(args.cpu);
    sched_setaffinity(None, &cpus).with_context(|| format!("no processor {}", args.cpu))?;
    let time = Duration::from_millis(args.milliseconds);
    let mut threads = Threads::default();
    let timings = [
        timing("mmap+munmap", true, time, mmap_munmap)?,
        timing("openat+close", true, time, openat_close)?,
        timing("dup+close", true, time, dup_close)?,
        timing("clone thread+join", true, time, || threads.clone_join())?,
        timing("getppid", false, time, || {
            // SAFETY: takes no arguments.
            checked(unsafe { libc::syscall(libc::SYS_getppid) }).map(drop)
        })?,
    ];
    println!("{}", serde_json::to_string(&timings)?);
    Ok(())
}

fn timing(
    operation: &str,
    traced: bool,
    time: Duration,
    mut once: impl FnMut() -> io::Result<()>,
) -> Result<Timing> {
    let repeat = |count: u32, once: &mut dyn FnMut() -> io::Result<()>| -> io::Result<Duration> {
        let started = Instant::now();
        for _ in 0..count {
            once()?;
        }
        Ok(started.elapsed())
    };
    let chunk = time / CHUNKS;
    // Doubled until it can be timed; also what warms caches and branch predictors up.
    let mut count = 1;
    let per_operation = loop {
        let took = repeat(count, &mut once).context(operation.to_owned())?;
        if took >= chunk / 4 {
            break took.as_secs_f64() / f64::from(count);
        }
        count *= 2;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number far below u32::MAX; a float saturates"
    )]
    let count = ((chunk.as_secs_f64() / per_operation) as u32).max(1);
    let mut chunks = Vec::new();
    for _ in 0..CHUNKS {
        let took = repeat(count, &mut once).context(operation.to_owned())?;
        chunks.push(took.as_secs_f64() * 1e9 / f64::from(count));
    }
    Ok(Timing {
        operation: operation.to_owned(),
        traced,
        ns: Spread::of(chunks).context("no chunks")?.median,
    })
}

/// A failing call is another, cheaper path through kernel and probes.
fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

const LENGTH: usize = 1 << 16;

/// Never touched, so no page fault is in it.
fn mmap_munmap() -> io::Result<()> {
    // SAFETY: a new anonymous mapping, which nothing refers to, and its end.
    let (map, unmap) = unsafe {
        let address = libc::syscall(
            libc::SYS_mmap,
            ptr::null::<c_void>(),
            LENGTH,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        (address, libc::syscall(libc::SYS_munmap, address, LENGTH))
    };
    checked(map)?;
    checked(unmap).map(drop)
}

fn openat_close() -> io::Result<()> {
    // SAFETY: a constant path that ends with NUL.
    let fd = checked(unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            c"/dev/null".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    })?;
    close(fd)
}

fn dup_close() -> io::Result<()> {
    // SAFETY: takes numbers only.
    let fd = checked(unsafe { libc::syscall(libc::SYS_dup, 1) })?;
    close(fd)
}

fn close(fd: c_long) -> io::Result<()> {
    // SAFETY: a descriptor that the caller has just made and does not use any more.
    checked(unsafe { libc::syscall(libc::SYS_close, fd) }).map(drop)
}

/// Threads without what a C library adds to them: a stack that is mapped once, no thread-local storage.
struct Threads {
    stack: Vec<u128>,
    /// The live thread's id; the kernel clears it and wakes us when the thread ends.
    tid: AtomicU32,
}

impl Default for Threads {
    fn default() -> Self {
        Self {
            stack: vec![0; 4096],
            tid: AtomicU32::new(0),
        }
    }
}

extern "C" fn nothing(_: *mut c_void) -> c_int {
    0
}

impl Threads {
    fn clone_join(&mut self) -> io::Result<()> {
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_CLEARTID;
        let tid = self.tid.as_ptr();
        let top = self.stack.as_mut_ptr_range().end;
        // SAFETY: the thread returns at once, touches no thread-local storage, and is off its stack when the kernel clears
        // `tid`, which is waited for below.
        let thread = unsafe {
            libc::clone(
                nothing,
                top.cast(),
                flags,
                ptr::null_mut(),
                tid,
                ptr::null_mut::<c_void>(),
                tid,
            )
        };
        checked(thread.into())?;
        loop {
            let running = self.tid.load(Ordering::Acquire);
            if running == 0 {
                break;
            }
            // SAFETY: waits on a word of ours, without a time-out.
            let waited = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    tid,
                    libc::FUTEX_WAIT,
                    running,
                    ptr::null::<libc::timespec>(),
                )
            };
            // EAGAIN: it had ended already.
            if let Err(error) = checked(waited)
                && error.kind() != io::ErrorKind::WouldBlock
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
        }
        black_box(&self.stack);
        Ok(())
    }
}
