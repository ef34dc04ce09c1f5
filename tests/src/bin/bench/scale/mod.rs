//! What watching many idle processes costs: the agent beside two readers of `/proc`.

mod report;
mod watcher;

use std::{process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};
use leakwatch_tests::machine;

use crate::process::Background;
use watcher::{Measured, WATCHERS, Watcher};

/// Processes started for each part.
const SIZES: [usize; 3] = [100, 1_000, 3_000];
const QUICK_SIZES: [usize; 1] = [100];

/// How long each watcher is measured.
#[derive(Clone, Copy)]
struct Windows {
    /// The agent, while nobody asks it.
    alone: Duration,
    /// The agent, scraped so many times, once a second.
    scrapes: u32,
    /// The readers of `/proc`, which use so much that less time suffices.
    readers: u32,
}

const WINDOWS: Windows = Windows {
    alone: Duration::from_secs(20),
    scrapes: 20,
    readers: 10,
};
const QUICK_WINDOWS: Windows = Windows {
    alone: Duration::from_secs(2),
    scrapes: 2,
    readers: 2,
};

/// leakwatch looks again at a process that is younger than five seconds.
const SETTLED: Duration = Duration::from_secs(6);
/// Making 3,000 processes takes about a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// One watcher with so many processes.
struct Part {
    processes: usize,
    watcher: Watcher,
    load_average: f64,
    measured: Measured,
}

/// Measures and returns the report.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let (sizes, windows) = if quick {
        (&QUICK_SIZES[..], QUICK_WINDOWS)
    } else {
        (&SIZES[..], WINDOWS)
    };
    let mut parts = Vec::new();
    for &processes in sizes {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "sleepers", &processes.to_string()]);
        let mut sleepers = Background::start(command)?;
        sleepers.wait_for("ready", PATIENCE).context("idle processes")?;
        thread::sleep(SETTLED);
        for watcher in WATCHERS {
            eprint!("\r{processes} processes: {:<30}", watcher.name());
            parts.push(Part {
                processes,
                watcher,
                load_average: machine::load_average()?,
                measured: watcher
                    .measure(windows)
                    .with_context(|| watcher.name().to_owned())?,
            });
        }
        sleepers.end_input()?;
    }
    eprintln!();
    Ok(report::render(&parts, windows))
}
