//! Takes and gives back descriptors, memory, threads and processes in every way there is, on all processors, and then
//! holds a random rest of everything still, so that what leakwatch counted can be compared with `/proc`.
//!
//! Prints one line of JSON (the processes that stay and some that exited), then `AT REST`, and keeps still until its
//! standard input ends. All live sets are bounded: it can run beside anything.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "system call results and small constants on their way between C's integer types"
)]

mod brk;
mod descriptors;
mod memory;
mod processes;
mod rng;
mod shared;
mod worker;

use std::{
    io::{self, Read, Write},
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use rustix::process::{Signal, WaitOptions, kill_current_process_group, setpgid, waitpid};
use tempfile::TempDir;

use self::{processes::die_with_parent, rng::Rng, shared::Shared, worker::Plan};

/// The argument that turns this program into what it execs.
const AFTER_EXEC: &str = "after-exec";

/// Takes and gives back descriptors, memory, threads and processes, then holds a random rest of them.
#[derive(Parser)]
struct Args {
    /// How long to go on before keeping still
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Repeats a run's choices (the scheduler's are its own) [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Worker processes [default: two per processor, at least four]
    #[arg(long)]
    processes: Option<u32>,
    /// Busy threads in each of them
    #[arg(long, default_value_t = 4)]
    threads: u32,
}

fn main() -> Result<()> {
    let mut raw = std::env::args().skip(1);
    if raw.next().as_deref() == Some(AFTER_EXEC) {
        let seed = raw.next().context("after-exec wants a seed")?.parse()?;
        let stays = raw.next().as_deref() == Some("stay");
        processes::after_exec(Rng::new(seed), stays);
    }
    let args = Args::parse();
    let seed = match args.seed {
        Some(seed) => seed,
        None => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()),
    };
    let processors = u32::try_from(thread::available_parallelism()?.get())?;
    let processes = args.processes.unwrap_or_else(|| (2 * processors).max(4));
    ensure!(
        (1..=64).contains(&processes) && (1..=64).contains(&args.threads),
        "between 1 and 64 processes and threads"
    );
    eprintln!(
        "stress: --seed {seed} --processes {processes} --threads {} --seconds {}",
        args.threads, args.seconds
    );

    // A group of its own, so that the end takes everything along, whatever it was adopted by.
    setpgid(None, None).context("setpgid")?;
    let shared = Shared::new().context("cannot map the shared page")?;
    let fixtures = tempfile::tempdir().context("cannot make a directory for the files to open")?;
    let plan = Plan::new(shared, fixtures.path(), args.threads)?;
    let rng = Rng::new(seed);
    for index in 0..processes {
        worker::start(&plan, index, rng.fork(index.into()))?;
    }

    // From here on the end of standard input ends everything, whatever it is doing.
    let end = thread::spawn(|| io::stdin().read_to_end(&mut Vec::new()));
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    while shared.resting() < processes {
        if Instant::now() >= deadline {
            shared.stop();
        }
        if end.is_finished() {
            return end_all(fixtures);
        }
        if let Some((pid, status)) = waitpid(None, WaitOptions::NOHANG)? {
            bail!("worker {pid} died, which is a defect of this program: {status:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    report(seed, shared)?;
    drop(end.join());
    end_all(fixtures)
}

fn end_all(fixtures: TempDir) -> Result<()> {
    drop(fixtures);
    kill_current_process_group(Signal::KILL).context("cannot end the processes of the group")
}

fn report(seed: u64, shared: &Shared) -> Result<()> {
    let mut processes = shared.staying_pids();
    processes.push(std::process::id());
    let line = serde_json::json!({
        "seed": seed,
        "operations": shared.operations.load(Relaxed),
        "processes": processes,
        "exited": shared.exited_pids(),
    });
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}\nAT REST")?;
    stdout.flush()?;
    Ok(())
}
