//! A census of the BEAM says what its own `erlang:system_info` says, and by which function each process began.

use std::process::Command;

use anyhow::{Result, ensure};
use leakwatch::model::census::Counted;
use leakwatch_tests::{
    leaks,
    subject::{Subject, counter, ensure_close, view},
};
use serde::Deserialize;

/// Processes that it starts.
const PROCESSES: u64 = 5_000;

/// What it says of itself.
#[derive(Debug, Deserialize)]
struct Books {
    processes: u64,
    atoms: u64,
    ports: u64,
}

#[test]
fn processes_ports_and_atoms_are_those_that_it_states() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let source = leaks::path("runtimes/erlang/orders.erl");
    let compiled = Command::new("erlc")
        .arg("-o")
        .arg(dir.path())
        .arg(source)
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no Erlang: cargo xtask setup --tests");
        return Ok(());
    }
    let mut command = Command::new("erl");
    command
        .args(["-noinput", "-pa"])
        .arg(dir.path())
        .args(["-s", "orders", "lives", &PROCESSES.to_string()]);
    let mut subject = Subject::start(&mut command)?;
    let books: Books = subject.answer()?;
    let census = subject.census()?;
    let view = view(&census, "erlang")?;
    println!("{books:?} as stated; {view:?}");
    ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    ensure_close("processes", counter(view, "processes")?, books.processes)?;
    // It loads code lazily, and each module brings atoms.
    ensure_close("atoms", counter(view, "atoms")?, books.atoms)?;
    ensure!(counter(view, "ports")? == books.ports, "ports");
    let of_orders = view
        .rows
        .iter()
        .find(|row| row.counted == Counted::BeamProcess && row.name == "orders:wait/2");
    let count = of_orders.map(|row| row.count);
    ensure!(count == Some(PROCESSES), "{count:?}");
    Ok(())
}
