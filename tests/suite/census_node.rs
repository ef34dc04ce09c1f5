//! A census of a node program says what V8's own heap snapshot says, in every release of node that is here; functions of
//! JavaScript are named in stacks; and what a census costs is printed.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, Counted};
use leakwatch_tests::{
    agent::Agent,
    binary, leaks, node, sites,
    subject::{Subject, ensure_close, view},
};
use rustix::process::Signal;
use serde::Deserialize;

/// Sessions and listeners that the program holds; it holds half as many orders.
const HELD: u64 = 20_000;
const MANY_HELD: u64 = 400_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the program's runtime says.
#[derive(Debug, Deserialize)]
struct Books {
    classes: BTreeMap<String, u64>,
    /// Bytes by space.
    spaces: BTreeMap<String, u64>,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p99_us: f64,
}

#[test]
fn counts_are_those_of_the_heap_snapshot() -> Result<()> {
    for node in node::releases()? {
        let mut subject = books(&node, HELD)?;
        let books: Books = subject.ask("books")?;
        let census = subject.census()?;
        compare(&books, &census).with_context(|| format!("{}: {census:#?}", node.display()))?;
        println!(
            "node {}: {:?} as stated; {} bytes read in {:.1} ms",
            books.version,
            books.classes,
            census.read_bytes,
            census.took_ns as f64 / 1e6
        );
    }
    Ok(())
}

#[test]
fn a_program_goes_on_while_its_objects_are_counted() -> Result<()> {
    for node in node::releases()?.into_iter().take(1) {
        let mut subject = books(&node, MANY_HELD)?;
        let before: Latency = subject.ask("latency")?;
        let (during, censuses): (Latency, _) = subject.ask_while_counted("latency")?;
        let after: Latency = subject.ask("latency")?;
        for census in &censuses {
            let in_use = view(census, "node")?.heap.in_use;
            println!(
                "heap of {in_use:?} bytes: {} read in {:.1} ms",
                census.read_bytes,
                census.took_ns as f64 / 1e6
            );
        }
        for (when, latency) in [("before", before), ("during", during), ("after", after)] {
            println!("{when}: {} rounds, p99 {} us", latency.requests, latency.p99_us);
            ensure!(latency.requests > 0, "it did not go on {when} the censuses");
        }
    }
    Ok(())
}

#[test]
fn functions_of_javascript_are_named_in_stacks() -> Result<()> {
    for node in node::releases()? {
        let uploads = Leaky::start(&node, "runtimes/node/uploads.js")?;
        let agent = Agent::start::<&str>(&binary::leakwatch()?, [], PATIENCE)?;
        let named = sites::wait_for(PATIENCE, || {
            let snapshot = agent.snapshot_of(uploads.0.id())?;
            let row = sites::row(&snapshot, uploads.0.id()).context("the process is not in the snapshot")?;
            let is_named = row.sites.iter().any(|site| {
                let names = site.frames.iter().filter_map(|frame| frame.function.as_deref());
                site.function.as_deref() == Some("handleUpload")
                    && names.into_iter().any(|name| name == "openSync")
            });
            Ok(is_named.then_some(()))
        })?;
        agent.stop(Signal::TERM)?;
        ensure!(named.is_some(), "{}: handleUpload is not named", node.display());
        println!("{}: handleUpload", node.display());
    }
    Ok(())
}

fn compare(books: &Books, census: &Census) -> Result<()> {
    let view = view(census, "node")?;
    ensure!(view.version.as_deref() == Some(&books.version), "version");
    ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    let rows = |counted| view.rows.iter().filter(move |row| row.counted == counted);
    for (class, &stated) in &books.classes {
        // All closures of one function, and its name has its place behind it.
        let closure = format!("{class}() (");
        let counted = rows(Counted::Class).filter(|row| row.name == *class || row.name.starts_with(&closure));
        ensure_close(class, counted.map(|row| row.count).sum(), stated)?;
    }
    ensure!(books.classes.len() == 3, "of all three there is something");
    let old = rows(Counted::HeapSpace).find(|row| row.name == "old_space");
    let old = old.and_then(|row| row.bytes).context("no old space")?;
    let stated = books.spaces["old_space"];
    // Since V8 12 pages that it keeps to use again look like those in use, so more may be found.
    ensure!(old * 2 >= stated, "old space: {old} of {stated} bytes");
    let isolates = view.counters.iter().find(|counter| counter.name == "isolates");
    ensure!(isolates.is_some_and(|isolates| isolates.value == 1), "isolates");
    Ok(())
}

/// The program, holding so many sessions and listeners.
fn books(node: &Path, held: u64) -> Result<Subject> {
    let source = leaks::path("books.js");
    Subject::start_ready(Command::new(node).arg(source).arg(held.to_string()))
}

/// A program that leaks; dropping it ends it.
struct Leaky(Child);

impl Leaky {
    fn start(node: &Path, source: &str) -> Result<Self> {
        let child = Command::new(node).arg(leaks::path(source)).arg("leaky").spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _already_reaped = self.0.wait();
    }
}
