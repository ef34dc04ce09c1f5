//! Programs that people run: after a load, at rest, descriptors and threads equal `/proc`'s and anonymous memory is
//! within 1 % of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use leakwatch_tests::{
    agent::Agent,
    binary,
    load::{Program, go, http, java, nginx, node, postgres, python},
    table::Table,
    truth::Truth,
};
use rustix::process::Signal;

const LOAD: Duration = Duration::from_secs(10);

/// How long a program may take to calm down and the levels to follow.
const SETTLED: Duration = Duration::from_secs(20);

/// Connections that stay open at rest.
const IDLE: usize = 20;

/// One test at a time: they measure.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn python_http_server() -> Result<()> {
    http_server("python", python::start)
}

#[test]
fn go_http_server() -> Result<()> {
    http_server("go", go::start)
}

#[test]
fn java_http_server() -> Result<()> {
    http_server("java", java::start)
}

#[test]
fn node_http_server() -> Result<()> {
    http_server("node", node::start)
}

#[test]
fn nginx_with_workers() -> Result<()> {
    http_server("nginx", nginx::start)
}

#[test]
fn postgres_under_pgbench() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let agent = start_agent()?;
    let Some(program) = postgres::start()? else {
        return Ok(());
    };
    if postgres::load(&program, LOAD)?.is_none() {
        return Ok(());
    }
    assert_equal("postgres", &agent, &program)?;
    drop(program);
    agent.stop(Signal::TERM)
}

fn http_server(name: &str, start: impl Fn() -> Result<Option<Program>>) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let agent = start_agent()?;
    let Some(program) = start()? else { return Ok(()) };
    let answers = http::load(program.address(), LOAD)?;
    println!("{name}: {answers} requests answered");
    let idle = http::idle_connections(program.address(), IDLE)?;
    assert_equal(name, &agent, &program)?;
    drop(idle);
    drop(program);
    agent.stop(Signal::TERM)
}

fn start_agent() -> Result<Agent> {
    Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))
}

/// Compares until all is equal or the time is over, and prints the last comparison.
fn assert_equal(name: &str, agent: &Agent, program: &Program) -> Result<()> {
    let deadline = Instant::now() + SETTLED;
    loop {
        // A snapshot is as old as the last tick.
        let (before, settled) = (truths(program)?, Duration::from_millis(2500));
        thread::sleep(settled);
        let snapshot = agent.snapshot()?;
        let rows: BTreeMap<u32, _> = snapshot.processes.iter().map(|row| (row.id.pid, row)).collect();
        let mut table = Table::new(&[
            "program", "pid", "name", "fds", "/proc", "threads", "/proc", "rss anon", "/proc", "off by",
        ]);
        let after = truths(program)?;
        let mut equal = !after.is_empty() && pids(&before) == pids(&after);
        for truth in &after {
            let (Some(row), Some(memory)) = (rows.get(&truth.pid), truth.memory) else {
                equal = false;
                continue;
            };
            let off = row.rss_anon_bytes.abs_diff(memory.rss_anon_bytes);
            equal &= row.fds == truth.fds() && row.threads == truth.threads;
            equal &= off * 100 <= memory.rss_anon_bytes;
            table.row([
                name.to_owned(),
                truth.pid.to_string(),
                row.name.clone(),
                row.fds.to_string(),
                truth.fds().to_string(),
                row.threads.to_string(),
                truth.threads.to_string(),
                row.rss_anon_bytes.to_string(),
                memory.rss_anon_bytes.to_string(),
                format!(
                    "{:.2} %",
                    off as f64 * 100.0 / memory.rss_anon_bytes.max(1) as f64
                ),
            ]);
        }
        if equal || Instant::now() >= deadline {
            println!("{table}");
            ensure!(
                equal,
                "{name} at rest: leakwatch and /proc differ, or a process is missing"
            );
            return Ok(());
        }
    }
}

fn truths(program: &Program) -> Result<Vec<Truth>> {
    program
        .pids()?
        .into_iter()
        .filter_map(|pid| Truth::read(pid).transpose())
        .collect()
}

fn pids(truths: &[Truth]) -> BTreeSet<u32> {
    truths.iter().map(|truth| truth.pid).collect()
}
