//! What a census costs, and what the requests of the program notice of it.

use std::{fs, iter};

use anyhow::{Context as _, Result};
use leakwatch::model::census::Census;
use leakwatch_tests::{
    machine,
    markdown::Table,
    subject::Subject,
    subjects::{self, Program, Size},
};
use serde::Deserialize;

use crate::spread::Spread;

/// Seconds of requests that are measured before a census, while they are taken, and after them.
const ROUNDS: usize = 7;
/// The one that answers in another way: `--test census_python` prints what it notices.
const WITHOUT_LATENCY: &str = "python";

/// What a program says of a second of requests.
#[derive(Debug, Deserialize)]
struct Latency {
    p99_us: Option<f64>,
    p99_ns: Option<f64>,
}

impl Latency {
    fn us(&self) -> Option<f64> {
        self.p99_us.or_else(|| self.p99_ns.map(|ns| ns / 1000.0))
    }
}

/// Measures, and describes the results.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let (rounds, size) = if quick {
        (1, Size::Small)
    } else {
        (ROUNDS, Size::Large)
    };
    let dir = tempfile::tempdir()?;
    let mut costs = Table::new(["runtime", "RSS MiB", "ms", "MiB read", "s a GiB"]);
    let mut noticed = Table::new(["runtime", "before", "during", "after", "censuses a second"]);
    for program in subjects::all(dir.path(), size)? {
        eprintln!("{}", program.runtime);
        costs.row(cost(&program, rounds)?);
        if program.runtime != WITHOUT_LATENCY {
            noticed.row(latencies(&program, rounds)?);
        }
    }
    Ok(format!(
        "{rounds} rounds; load average {} when they ended. `median [min..max]`. RSS: anonymous memory that is resident.\n\n{}\n\
         99th percentile of requests in a second, microseconds: nobody counts, censuses are taken one after the other, nobody counts again.\n\n{}",
        machine::load_average()?,
        costs.render(),
        noticed.render()
    ))
}

/// A row of what censuses of a program that keeps still cost.
fn cost(program: &Program, rounds: usize) -> Result<[String; 5]> {
    let subject = program.start()?;
    let censuses = iter::repeat_with(|| subject.census());
    let censuses: Vec<Census> = censuses.take(rounds).collect::<Result<_>>()?;
    let resident = resident_mib(subject.pid())?;
    let ms = |census: &Census| census.took_ns as f64 / 1e6;
    let spread = |of: &dyn Fn(&Census) -> f64, decimals| {
        Spread::of(censuses.iter().map(of)).map_or_else(String::new, |spread| spread.show(decimals))
    };
    Ok([
        program.runtime.to_owned(),
        format!("{resident:.0}"),
        spread(&ms, 1),
        spread(&|census| census.read_bytes as f64 / f64::from(1 << 20), 1),
        spread(&|census| ms(census) / 1e3 / (resident / 1024.0), 2),
    ])
}

/// A row of what requests of a program notice.
fn latencies(program: &Program, rounds: usize) -> Result<[String; 5]> {
    let mut subject = program.start()?;
    let (mut before, mut during, mut after, mut counted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        before.extend(ask(&mut subject)?.us());
        let (latency, censuses): (Latency, _) = subject.ask_while_counted("latency")?;
        during.extend(latency.us());
        counted.push(censuses.len() as f64);
        after.extend(ask(&mut subject)?.us());
    }
    let show = |values: Vec<f64>, decimals| {
        Spread::of(values).map_or_else(String::new, |spread| spread.show(decimals))
    };
    Ok([
        program.runtime.to_owned(),
        show(before, 1),
        show(during, 1),
        show(after, 1),
        show(counted, 0),
    ])
}

fn ask(subject: &mut Subject) -> Result<Latency> {
    subject.ask("latency")
}

fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: f64 = line
        .and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
        .context("no RssAnon")?;
    Ok(kib / 1024.0)
}
