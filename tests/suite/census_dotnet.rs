//! A census of a .NET program says what the program holds, by type, without a flag and without a debugger; methods are named
//! in stacks.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::Counted;
use leakwatch_tests::{
    agent::Agent,
    binary, dotnet,
    leaks::Leak,
    sites,
    subject::{Subject, ensure_close, view},
};
use rustix::process::Signal;

/// Of each type.
const HELD: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn counts_are_what_the_program_holds() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(mut program) = dotnet::program("Census.cs", dir.path())? else {
        return Ok(());
    };
    let subject = Subject::start_ready(program.arg(HELD.to_string()))?;
    let census = subject.census()?;
    let view = view(&census, "dotnet")?;
    ensure!(view.version.as_deref() == Some("3.1.23"), "{:?}", view.version);
    ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    for (name, bytes) in [
        ("Census+Order", 32),
        ("Shelf`1+Slot", 24 + 32),
        ("System.Collections.Generic.List`1", 32),
        ("Price[]", 24 + 3 * 16),
        ("Census+Order[][]", 24 + 2 * 8),
    ] {
        let mut rows = view.rows.iter();
        let row = rows.find(|row| row.counted == Counted::Type && row.name == name);
        let row = row.with_context(|| format!("no {name}: {census:#?}"))?;
        let of_each = if name.starts_with("Shelf") { 2 } else { 1 };
        ensure_close(name, row.count, of_each * HELD)?;
        ensure_close(name, row.bytes.unwrap_or(0), bytes * HELD)?;
    }
    let heap = &view.heap;
    let (in_use, committed) = (
        heap.in_use.context("in use")?,
        heap.committed.context("committed")?,
    );
    ensure!(
        in_use <= committed && Some(committed) <= heap.reserved,
        "{heap:?}"
    );
    println!(
        "{in_use} bytes in use; {} read in {:.1} ms",
        census.read_bytes,
        census.took_ns as f64 / 1e6
    );
    Ok(())
}

#[test]
fn methods_are_named_in_stacks() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(mut program) = dotnet::program("Uploads.cs", dir.path())? else {
        return Ok(());
    };
    let uploads = Leak::start(program.arg("leaky"))?;
    let agent = Agent::start::<&str>(&binary::leakwatch()?, [], PATIENCE)?;
    let named = sites::wait_for(PATIENCE, || {
        let snapshot = agent.snapshot_of(uploads.pid())?;
        let row = sites::row(&snapshot, uploads.pid()).context("the process is not in the snapshot")?;
        let is_named = |function: &str| function == "Uploads.HandleUpload";
        let mut functions = row.sites.iter().filter_map(|site| site.function.as_deref());
        Ok(functions.any(is_named).then_some(()))
    })?;
    agent.stop(Signal::TERM)?;
    ensure!(named.is_some(), "Uploads.HandleUpload is not named");
    Ok(())
}
