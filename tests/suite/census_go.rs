//! A census of a Go program says what the program's own runtime says of it, in every version of Go that is here, with symbols
//! and without; and what it costs is printed.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, Counted};
use leakwatch_tests::{
    go::{self, Symbols},
    subject::{Subject, ensure_close, view},
};
use serde::Deserialize;

/// Goroutines that wait for nobody.
const WAITERS: u64 = 5_000;
const MANY_WAITERS: u64 = 100_000;

/// What the program's runtime says.
#[derive(Debug, Deserialize)]
struct Books {
    goroutines: u64,
    allocated: u64,
    reserved: u64,
    collections: u64,
    rate: u64,
    sites: Vec<Site>,
}

/// Sampled objects of one size that one function allocated and nobody freed.
#[derive(Debug, Deserialize)]
struct Site {
    function: String,
    size: u64,
    objects: u64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p99_us: f64,
}

#[test]
fn counts_are_those_of_the_runtime_itself() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("books");
    let toolchains = go::toolchains()?;
    for toolchain in &toolchains {
        for symbols in [Symbols::Kept, Symbols::Stripped] {
            let what = format!("{} {symbols:?}", toolchain.display());
            go::build(toolchain, "books.go", symbols, &program)?;
            let mut subject = Subject::start_ready(Command::new(&program).arg(WAITERS.to_string()))?;
            let books: Books = subject.ask("books")?;
            let census = subject.census()?;
            compare(&books, &census, symbols).with_context(|| format!("{what}: {census:#?}"))?;
            println!(
                "{what}: {:?} as stated; {} bytes read in {:.1} ms",
                census.views[0].version,
                census.read_bytes,
                census.took_ns as f64 / 1e6
            );
        }
    }
    println!("{} toolchains", toolchains.len());
    Ok(())
}

#[test]
fn a_program_goes_on_while_its_goroutines_are_counted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("books");
    for toolchain in go::toolchains()?.iter().rev().take(1) {
        go::build(toolchain, "books.go", Symbols::Kept, &program)?;
        let mut subject = Subject::start_ready(Command::new(&program).arg(MANY_WAITERS.to_string()))?;
        let before: Latency = subject.ask("latency")?;
        let (during, censuses): (Latency, _) = subject.ask_while_counted("latency")?;
        let after: Latency = subject.ask("latency")?;
        let count = view(&censuses[0], "go")?.counters[0].value;
        ensure!(count >= MANY_WAITERS, "{count} goroutines");
        for census in &censuses {
            println!(
                "{count} goroutines: {} bytes read in {:.1} ms",
                census.read_bytes,
                census.took_ns as f64 / 1e6
            );
        }
        for (when, latency) in [("before", before), ("during", during), ("after", after)] {
            println!("{when}: {} requests, p99 {} us", latency.requests, latency.p99_us);
            ensure!(latency.requests > 0, "it did not go on {when} the censuses");
        }
    }
    Ok(())
}

fn compare(books: &Books, census: &Census, symbols: Symbols) -> Result<()> {
    let view = view(census, "go")?;
    let counter = view.counters.iter().find(|counter| counter.name == "goroutines");
    let goroutines = counter.context("goroutines are not counted")?.value;
    ensure_close("goroutines", goroutines, books.goroutines)?;
    let waiters = view.rows.iter().find(|row| {
        row.counted == Counted::Goroutine
            && row.name.starts_with("main.startWaiter (books.go:")
            && row
                .name
                .contains("waits in chan receive at main.waitForNobody (books.go:")
    });
    let waiters = waiters.context("no row of those that wait")?;
    ensure!(waiters.count == WAITERS, "{} wait", waiters.count);
    ensure!(waiters.oldest_seconds.is_some(), "since when is not known");
    if symbols == Symbols::Kept {
        ensure_close("allocated", view.heap.in_use.unwrap_or(0), books.allocated)?;
        ensure_close("reserved", view.heap.reserved.unwrap_or(0), books.reserved)?;
        ensure!(view.heap.collections == Some(books.collections), "collections");
        ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    }
    for (function, (objects, bytes)) in by_function(books) {
        let named = |name: &str| name.starts_with(&format!("{function} ("));
        let rows = view
            .rows
            .iter()
            .filter(|row| row.counted == Counted::AllocationSite && named(&row.name));
        let (seen, seen_bytes) = rows.fold((0, 0), |(objects, bytes), row| {
            (objects + row.count, bytes + row.bytes.unwrap_or(0))
        });
        // Estimates of several lines are rounded one by one.
        ensure!(
            seen.abs_diff(objects) <= 8 && seen_bytes.abs_diff(bytes) <= 8,
            "{function}: {seen} objects, {seen_bytes} bytes, and not {objects}, {bytes}"
        );
    }
    Ok(())
}

/// Objects and bytes of each of its functions, as `runtime/pprof` makes them of samples.
fn by_function(books: &Books) -> BTreeMap<&str, (u64, u64)> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for site in books.sites.iter().filter(|site| !site.function.is_empty()) {
        let one_in = 1.0 - (-(site.size as f64) / books.rate as f64).exp();
        let objects = site.objects as f64 / one_in;
        let (count, bytes) = sums.entry(&site.function).or_default();
        *count += objects;
        *bytes += objects * site.size as f64;
    }
    let rounded = |(function, (count, bytes)): (_, (f64, f64))| (function, (whole(count), whole(bytes)));
    sums.into_iter().map(rounded).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates of counts are small and not negative"
)]
fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}
