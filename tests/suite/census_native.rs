//! A census of glibc's heaps says what malloc says of itself on the same process, of the main arena and of those of threads;
//! objects of a C++ class are counted exactly; a heap that is broken is said to be.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, Counted};
use leakwatch_tests::{
    leaks,
    subject::{Subject, counter, ensure_close, view},
};
use serde::Deserialize;

/// Sessions that each thread holds; it holds half as many orders.
const SESSIONS: u64 = 40_000;
const THREADS: [u64; 2] = [0, 3];

/// What malloc says.
#[derive(Debug, Deserialize)]
struct Books {
    arenas: u64,
    /// Of all arenas, what waits to be used again and what no chunk was made of yet among `free`.
    in_use: u64,
    free: u64,
    /// Of blocks with a mapping of their own.
    mapped: u64,
    blocks: u64,
    sessions: u64,
    orders: u64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p99_us: f64,
}

#[derive(Debug, Deserialize)]
struct Done {}

#[test]
fn what_is_in_use_and_free_is_what_malloc_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(program) = build(&dir)? else {
        return Ok(());
    };
    for threads in THREADS {
        let mut subject = start(&program, threads)?;
        let books: Books = subject.ask("books")?;
        let census = subject.census()?;
        compare(&books, &census, threads)
            .with_context(|| format!("{threads} threads: {books:?} {census:#?}"))?;
        println!(
            "{threads} threads: {books:?} as stated; {} bytes read in {:.1} ms",
            census.read_bytes,
            census.took_ns as f64 / 1e6
        );
    }
    Ok(())
}

#[test]
fn a_program_goes_on_while_its_heap_is_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(program) = build(&dir)? else {
        return Ok(());
    };
    let mut subject = start(&program, 3)?;
    let before: Latency = subject.ask("latency")?;
    let (during, censuses): (Latency, _) = subject.ask_while_counted("latency")?;
    let after: Latency = subject.ask("latency")?;
    println!("{} censuses during that second", censuses.len());
    for (when, latency) in [("before", before), ("during", during), ("after", after)] {
        println!("{when}: {} requests, p99 {} us", latency.requests, latency.p99_us);
        ensure!(latency.requests > 0, "it did not go on {when} the censuses");
    }
    Ok(())
}

#[test]
fn a_heap_that_is_broken_is_unknown() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(program) = build(&dir)? else {
        return Ok(());
    };
    let mut subject = start(&program, 0)?;
    let Done {} = subject.ask("break")?;
    let census = subject.census()?;
    let view = view(&census, "glibc")?;
    let why = view.unknown.as_deref().unwrap_or_default();
    ensure!(why.contains("a chunk of its heap"), "{why:?}");
    ensure!(
        view.heap.in_use.is_none() && view.heap.free.is_none(),
        "{:?}",
        view.heap
    );
    Ok(())
}

fn compare(books: &Books, census: &Census, threads: u64) -> Result<()> {
    let view = view(census, "glibc")?;
    ensure!(view.unknown.is_none(), "{:?}", view.unknown);
    ensure!(books.arenas == threads + 1, "each thread has an arena of its own");
    ensure!(counter(view, "arenas")? == books.arenas, "arenas");
    ensure!(counter(view, "mapped_chunks")? == books.blocks, "blocks");
    ensure!(counter(view, "mapped_bytes")? == books.mapped, "bytes of blocks");
    let in_use = view.heap.in_use.context("what is in use is not known")?;
    ensure_close("in use", in_use, books.in_use + books.mapped)?;
    let free = view.heap.free.context("what is free is not known")?;
    ensure_close("free", free + counter(view, "top_bytes")?, books.free)?;
    for (class, stated) in [("shop::Session", books.sessions), ("shop::Order", books.orders)] {
        let row = view
            .rows
            .iter()
            .find(|row| row.counted == Counted::Class && row.name == class);
        let count = row.map(|row| row.count);
        ensure!(count == Some(stated), "{class}: {count:?} and not {stated}");
    }
    Ok(())
}

/// The program; `None` where there is no compiler.
fn build(dir: &tempfile::TempDir) -> Result<Option<PathBuf>> {
    let program = dir.path().join("heap");
    Ok(leaks::cpp("heap.cpp", &program)?.then_some(program))
}

fn start(program: &Path, threads: u64) -> Result<Subject> {
    Subject::start_ready(Command::new(program).args([threads.to_string(), SESSIONS.to_string()]))
}
