//! One program that watches all processes, measured.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use leakwatch_tests::{
    agent::{Agent, free_address},
    binary, package,
};
use rustix::process::Signal;

use super::Windows;
use crate::{
    process::{Background, CpuTime, cpu_time, resident_bytes},
    spread::Spread,
};

/// In the order in which they are measured.
pub(super) const WATCHERS: [Watcher; 3] = [
    Watcher::Leakwatch,
    Watcher::ProcfsReader,
    Watcher::ProcessExporter,
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watcher {
    Leakwatch,
    ProcfsReader,
    ProcessExporter,
}

/// What one watcher used.
#[derive(Default)]
pub(super) struct Measured {
    /// From its start to the first complete table, seconds.
    pub(super) first_table: f64,
    /// Processor time while nobody asks it, percent of one core.
    pub(super) alone: Option<Share>,
    /// Processor time while it is scraped once a second.
    pub(super) scraped: Option<Share>,
    /// One reading of all processes, seconds.
    pub(super) reading: Option<Spread>,
    /// One scrape, seconds.
    pub(super) scrape: Option<Spread>,
    /// Resident memory at the end, bytes.
    pub(super) resident_bytes: u64,
    /// Kernel memory of its maps, bytes.
    pub(super) map_bytes: Option<f64>,
}

/// Percent of one core.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) user: f64,
    pub(super) system: f64,
}

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);

impl Watcher {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leakwatch => "leakwatch agent",
            Self::ProcfsReader => "procfs reader",
            Self::ProcessExporter => "process-exporter",
        }
    }

    /// Starts it, measures it, ends it.
    pub(super) fn measure(self, windows: Windows) -> Result<Measured> {
        match self {
            Self::Leakwatch => leakwatch(windows),
            Self::ProcfsReader => procfs_reader(windows.readers),
            Self::ProcessExporter => process_exporter(windows.readers),
        }
    }
}

fn leakwatch(windows: Windows) -> Result<Measured> {
    let started = Instant::now();
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], PATIENCE)?;
    let first_table = started.elapsed().as_secs_f64();
    // The first ticks read what later ones know.
    thread::sleep(3 * SECOND);
    let ((), alone) = share_of(agent.pid(), || {
        thread::sleep(windows.alone);
        Ok(())
    })?;
    let mut readings = Vec::new();
    let mut map_bytes = 0.0;
    let (took, scraped) = share_of(agent.pid(), || {
        each_second(windows.scrapes, || {
            let metrics = agent.get("/metrics")?;
            readings.push(sum(&metrics, "leakwatch_tick_seconds")?);
            map_bytes = sum(&metrics, "leakwatch_kernel_map_bytes")?;
            Ok(())
        })
    })?;
    let resident_bytes = resident_bytes(agent.pid())?;
    agent.stop(Signal::TERM)?;
    Ok(Measured {
        first_table,
        alone: Some(alone),
        scraped: Some(scraped),
        reading: Spread::of(readings),
        scrape: Spread::of(took),
        resident_bytes,
        map_bytes: Some(map_bytes),
    })
}

fn procfs_reader(seconds: u32) -> Result<Measured> {
    let started = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", "procfs-reader"]);
    let mut reader = Background::start(command)?;
    reader.line(PATIENCE)?;
    let first_table = started.elapsed().as_secs_f64();
    let pid = reader.pid();
    let (lines, alone) = share_of(pid, || {
        (0..seconds)
            .map(|_| reader.line(PATIENCE))
            .collect::<Result<Vec<_>>>()
    })?;
    let seconds = lines.iter().map(|line| {
        let (_, seconds) = line
            .split_once(' ')
            .context("no time in what the reader prints")?;
        Ok(seconds.parse()?)
    });
    let reading = Spread::of(seconds.collect::<Result<Vec<f64>>>()?);
    let resident_bytes = resident_bytes(pid)?;
    reader.interrupt()?;
    Ok(Measured {
        first_table,
        alone: Some(alone),
        reading,
        resident_bytes,
        ..Measured::default()
    })
}

/// Groups by name and leaves out what leakwatch does not read either: threads by name, and `smaps`.
const EXPORTER_CONFIG: &str = "process_names:\n- name: '{{.Comm}}'\n  cmdline: ['.*']\n";

fn process_exporter(seconds: u32) -> Result<Measured> {
    let program = package::find("prometheus-process-exporter", "prometheus-process-exporter")?
        .context("no prometheus-process-exporter: run `cargo xtask setup --tests`")?;
    let config = tempfile::NamedTempFile::new()?;
    std::fs::write(config.path(), EXPORTER_CONFIG)?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command
        .arg("-config.path")
        .arg(config.path())
        .arg(format!("-web.listen-address={address}"))
        .args(["-threads=false", "-gather-smaps=false"]);
    let url = format!("http://{address}/metrics");
    let started = Instant::now();
    let exporter = Background::start(command)?;
    while let Err(error) = scrape(&url) {
        if started.elapsed() > PATIENCE {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let first_table = started.elapsed().as_secs_f64();
    let (took, scraped) = share_of(exporter.pid(), || {
        each_second(seconds, || {
            let metrics = scrape(&url)?;
            ensure!(
                metrics.contains("namedprocess_namegroup_num_procs"),
                "an answer without processes"
            );
            Ok(())
        })
    })?;
    let resident_bytes = resident_bytes(exporter.pid())?;
    exporter.interrupt()?;
    Ok(Measured {
        first_table,
        scraped: Some(scraped),
        scrape: Spread::of(took),
        resident_bytes,
        ..Measured::default()
    })
}

fn scrape(url: &str) -> Result<String> {
    let answer = ureq::get(url)
        .config()
        .timeout_global(Some(PATIENCE))
        .build()
        .call();
    Ok(answer
        .with_context(|| format!("GET {url}"))?
        .into_body()
        .read_to_string()?)
}

/// Runs `work` and says how much of one core `pid` used meanwhile.
fn share_of<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<(T, Share)> {
    let (before, started) = (cpu_time(pid)?, Instant::now());
    let result = work()?;
    let (after, seconds): (CpuTime, f64) = (cpu_time(pid)?, started.elapsed().as_secs_f64());
    let share = Share {
        user: (after.user - before.user) / seconds * 100.0,
        system: (after.system - before.system) / seconds * 100.0,
    };
    Ok((result, share))
}

/// Does `ask` so many times, once a second, and says how long each took, seconds.
fn each_second(times: u32, mut ask: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    (0..times)
        .map(|_| {
            let started = Instant::now();
            ask()?;
            let took = started.elapsed();
            thread::sleep(SECOND.saturating_sub(took));
            Ok(took.as_secs_f64())
        })
        .collect()
}

/// Sum over the series of a metric.
fn sum(metrics: &str, name: &str) -> Result<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{'])
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    let values: Vec<f64> = values.collect();
    if values.is_empty() {
        bail!("no {name} among the metrics");
    }
    Ok(values.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn series_of_one_metric_are_added_up() {
        let metrics = "# HELP a_bytes x\na_bytes{map=\"x y\"} 2\na_bytes{map=\"z\"} 3e2\na_bytes_max 7\n";
        assert_eq!(sum(metrics, "a_bytes").expect("found").to_string(), "302");
        assert!(sum(metrics, "b").is_err());
    }
}
