//! Births and deaths at their sites: what a process is known to have taken is attributed, and what arrived without a
//! system call of its own, or before leakwatch, is counted as unattributed.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use leakwatch::model::snapshot::ProcessRow;
use leakwatch_tests::{agent::Agent, binary, truth::Truth};
use rustix::process::Signal;
use serde::Deserialize;

const PATIENCE: Duration = Duration::from_secs(10);

/// What `ledger` says (see `src/bin/ledger.rs`).
#[derive(Debug, Deserialize)]
struct Entries {
    live: BTreeMap<String, u64>,
    born: BTreeMap<String, u64>,
    unattributed_fds: u32,
}

struct Ledger {
    child: Child,
    entries: Entries,
}

impl Ledger {
    fn start() -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ledger"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run ledger")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
        let entries = serde_json::from_str(&line).with_context(|| format!("ledger said `{line}`"))?;
        Ok(Self { child, entries })
    }

    /// Its row, once it is as wanted or the time is over.
    fn row(&self, agent: &Agent, wanted: impl Fn(&ProcessRow) -> bool) -> Result<ProcessRow> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = agent.snapshot_of(self.child.id())?;
            let row = snapshot
                .processes
                .into_iter()
                .find(|row| row.id.pid == self.child.id());
            let late = Instant::now() > deadline;
            match row {
                Some(row) if late || wanted(&row) => return Ok(row),
                None if late => anyhow::bail!("the ledger's process is not in the snapshot"),
                _ => thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _already_reaped = self.child.wait();
    }
}

#[test]
fn what_it_took_is_attributed_and_what_it_was_given_is_not() -> Result<()> {
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let ledger = Ledger::start()?;
    let expected = &ledger.entries;
    let row = ledger.row(&agent, |row| live(row, &expected.live) == expected.live)?;
    let truth = Truth::read(ledger.child.id())?.context("the ledger is gone")?;
    println!("{expected:?}\n{row:?}");
    ensure!(
        row.fds == truth.fds(),
        "{} descriptors, /proc says {}",
        row.fds,
        truth.fds()
    );
    ensure!(
        live(&row, &expected.live) == expected.live,
        "live by kind: {:?}",
        live(&row, &expected.live)
    );
    for (kind, &born) in &expected.born {
        let seen: u64 = row
            .sites
            .iter()
            .filter(|site| site.kind == *kind)
            .map(|site| site.born)
            .sum();
        // The program's own start takes and gives back some more.
        ensure!(
            seen >= born,
            "{seen} of kind {kind} were born, at least {born} are known"
        );
    }
    ensure!(
        (row.unattributed.fds, row.unattributed.threads) == (expected.unattributed_fds, 0),
        "unattributed: {:?} instead of {} descriptors and no thread",
        row.unattributed,
        expected.unattributed_fds
    );
    drop(ledger);
    agent.stop(Signal::TERM)
}

#[test]
fn what_was_there_before_is_unattributed() -> Result<()> {
    let ledger = Ledger::start()?;
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))?;
    let row = ledger.row(&agent, |row| row.unattributed.fds == row.fds)?;
    let threads = u32::try_from(ledger.entries.live["thread"])?;
    ensure!(
        (row.unattributed.fds, row.unattributed.threads) == (row.fds, threads),
        "unattributed: {:?} of {} descriptors and {threads} threads",
        row.unattributed,
        row.fds
    );
    drop(ledger);
    agent.stop(Signal::TERM)
}

/// What is live at the row's sites, for the kinds of interest.
fn live(row: &ProcessRow, kinds: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let of = |kind: &String| {
        row.sites
            .iter()
            .filter(|site| site.kind == *kind)
            .filter_map(|site| site.live)
            .sum()
    };
    kinds.keys().map(|kind| (kind.clone(), of(kind))).collect()
}
