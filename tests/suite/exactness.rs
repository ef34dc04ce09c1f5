//! Counts are exact: whatever a stress program took and gave back while leakwatch looked on, or before it did, or while
//! its ring buffer overflowed, at rest every level equals `/proc`'s.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use leakwatch_tests::{
    agent::Agent,
    binary,
    compare::until_exact,
    stress::{AtRest, Stress},
};
use rustix::process::Signal;

/// How long an agent may take to attach.
const READY: Duration = Duration::from_secs(30);

/// How long levels may lag behind a tree that keeps still.
const SETTLED: Duration = Duration::from_secs(10);

/// One test at a time: each of them uses all processors.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stress_binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_stress"))
}

/// `LEAKWATCH_STRESS_SECONDS`, 10 by default.
fn seconds() -> Result<u64> {
    match env::var("LEAKWATCH_STRESS_SECONDS") {
        Ok(text) => text.parse().context("LEAKWATCH_STRESS_SECONDS is not a number"),
        Err(_) => Ok(10),
    }
}

fn start(arguments: &[&str]) -> Result<Agent> {
    let binary: PathBuf = binary::leakwatch()?;
    Agent::start(&binary, arguments, READY)
}

fn assert_exact(what: &str, agent: &Agent, rest: &AtRest) -> Result<()> {
    let report = until_exact(rest, SETTLED, || agent.snapshot_with_fd_kinds())?;
    println!(
        "{what}: seed {}, {} operations\n{report}",
        rest.seed, rest.operations
    );
    ensure!(report.is_exact(), "{what}: not exact (seed {})", rest.seed);
    Ok(())
}

#[test]
fn after_stress_that_ran_under_the_agent() -> Result<()> {
    let _alone = alone();
    let agent = start(&[])?;
    let mut stress = Stress::start(stress_binary(), seconds()?)?;
    let rest = stress.at_rest()?;
    assert_exact("stress under the agent", &agent, &rest)?;
    agent.stop(Signal::TERM)
}

#[test]
fn processes_that_ran_before_the_agent_and_after_its_kill() -> Result<()> {
    let _alone = alone();
    let mut stress = Stress::start(stress_binary(), seconds()?)?;
    let rest = stress.at_rest()?;
    let agent = start(&[])?;
    assert_exact("agent after the stress", &agent, &rest)?;

    agent.kill9()?;
    let agent = start(&[])?;
    assert_exact("agent killed and started again", &agent, &rest)?;
    agent.stop(Signal::INT)
}

#[test]
fn stress_across_a_kill_of_the_agent() -> Result<()> {
    let _alone = alone();
    let agent = start(&[])?;
    let mut stress = Stress::start(stress_binary(), seconds()?)?;
    std::thread::sleep(Duration::from_secs(seconds()? / 2));
    agent.kill9()?;
    let agent = start(&[])?;
    let rest = stress.at_rest()?;
    assert_exact("agent killed and started again under load", &agent, &rest)?;
    agent.stop(Signal::TERM)
}

#[test]
fn a_ring_buffer_that_overflows_costs_no_count() -> Result<()> {
    let _alone = alone();
    let agent = start(&["--ring-bytes", "4096"])?;
    let mut stress = Stress::start(stress_binary(), seconds()?)?;
    let rest = stress.at_rest()?;
    assert_exact("ring buffer of 4096 bytes", &agent, &rest)?;

    let feed = agent.snapshot()?.health.feed;
    println!("{feed:?}");
    ensure!(
        feed.dropped + feed.shed > 0,
        "nothing was dropped or shed: the ring buffer did not overflow"
    );
    let metrics = agent.get("/metrics")?;
    let lost = sum_of(&metrics, "dropped") + sum_of(&metrics, "shed");
    ensure!(
        lost > 0.0,
        "/metrics does not show what was dropped and shed:\n{metrics}"
    );
    agent.stop(Signal::TERM)
}

/// Sums leakwatch's own counters whose name or labels say `word`.
fn sum_of(metrics: &str, word: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("leakwatch_") && line.contains(word))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}
