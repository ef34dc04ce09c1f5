//! Processes that end while they are counted, and processes whose memory is nonsense: a reason or an answer, never a panic,
//! and never a part of what they hold as if it were all of it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, RuntimeView};
use leakwatch_tests::{
    binary,
    go::{self, Symbols},
    subject::{Subject, ensure_close, view},
    subjects::{self, Size},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

/// Moments of a census at which the process ends.
const MOMENTS: u32 = 12;
/// How often memory is written over, and how many words of it each time.
const ROUNDS: u32 = 6;
const WORDS: usize = 20_000;
const SEED: u64 = 7;

#[test]
fn one_that_ends_meanwhile_is_counted_whole_or_not_at_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for program in subjects::all(dir.path(), Size::Small)? {
        let (mut whole, mut unknown, mut gone) = (0, 0, 0);
        for moment in 0..MOMENTS {
            let mut subject = program.start()?;
            let began = Instant::now();
            let reference = subject.census()?;
            let takes = began.elapsed();
            let counting = Command::new(binary::census()?)
                .arg(subject.pid().to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            thread::sleep(takes * moment / MOMENTS);
            subject.kill()?;
            if moment % 2 == 0 {
                drop(subject);
            }
            let output = counting.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(!said.contains("panicked"), "{}: {said}", program.runtime);
            if !output.status.success() {
                ensure!(said.contains("no such process"), "{}: {said}", program.runtime);
                gone += 1;
                continue;
            }
            let census: Census = serde_json::from_slice(&output.stdout)?;
            // It may have ended before its own runtime was asked; what was asked says so then.
            let is_whole = |view: &RuntimeView| view.unknown.is_none();
            let own = view(&census, program.runtime).ok();
            if own.map_or_else(|| census.views.iter().all(is_whole), is_whole) {
                let own = own.with_context(|| format!("{}: nothing of it: {census:#?}", program.runtime))?;
                compare(own, view(&reference, program.runtime)?).with_context(|| program.runtime)?;
                whole += 1;
            } else {
                unknown += 1;
            }
        }
        println!(
            "{}: {whole} whole, {unknown} with a reason, {gone} gone before",
            program.runtime
        );
        ensure!(
            unknown + gone > 0,
            "{}: it never ended meanwhile",
            program.runtime
        );
    }
    Ok(())
}

#[test]
fn nonsense_in_its_memory_is_survived() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for program in subjects::all(dir.path(), Size::Small)? {
        let subject = program.start()?;
        let pid = i32::try_from(subject.pid())?;
        // It must not notice before it was counted.
        kill_process(Pid::from_raw(pid).context("no pid")?, Signal::STOP)?;
        let mut unknown = 0;
        for round in 0..ROUNDS {
            write_over(subject.pid(), &mut random)?;
            let output = binary::run(&binary::census()?, [subject.pid().to_string()])?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "{} in round {round}: {said}",
                program.runtime
            );
            let census: Census = serde_json::from_slice(&output.stdout)?;
            unknown += u32::from(census.views.iter().any(|view| view.unknown.is_some()));
        }
        println!("{}: {unknown} of {ROUNDS} with a reason", program.runtime);
    }
    Ok(())
}

/// It runs as ever, and says to be of a release that leakwatch does not know.
#[test]
fn a_patched_program_is_unknown() -> Result<()> {
    let Some(toolchain) = go::toolchains()?.into_iter().next() else {
        eprintln!("SKIPPED: no Go: cargo xtask setup --tests");
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("books");
    go::build(&toolchain, "books.go", Symbols::Kept, &program)?;
    let mut bytes = fs::read(&program)?;
    let (release, unknown) = (b"go1.", b"go9.");
    let places: Vec<usize> = bytes
        .windows(release.len())
        .enumerate()
        .filter_map(|(at, window)| (window == release).then_some(at))
        .collect();
    ensure!(!places.is_empty(), "it does not say its release");
    for at in places {
        bytes[at..at + unknown.len()].copy_from_slice(unknown);
    }
    fs::write(&program, bytes)?;
    let subject = Subject::start_ready(Command::new(&program).arg("1000"))?;
    let census = subject.census()?;
    let view = view(&census, "go")?;
    let why = view.unknown.as_deref().unwrap_or_default();
    println!("go: {why}");
    ensure!(why.contains("9."), "{why:?}");
    ensure!(view.rows.is_empty() && view.heap.live.is_none(), "{view:?}");
    Ok(())
}

/// What is said to be whole is: the row that held most before still does. Of its own runtime only, whose objects it holds
/// still; the compiler of a JVM, say, goes on to allocate from glibc.
fn compare(counted: &RuntimeView, reference: &RuntimeView) -> Result<()> {
    let before = reference.rows.first().context("the reference holds nothing")?;
    let now = counted.rows.iter().find(|row| row.name == before.name);
    let now = now.with_context(|| format!("{} is gone", before.name))?;
    ensure_close(&before.name, now.count, before.count)
}

/// Puts numbers into words of its writable memory that belongs to no file: small ones, addresses in it, and any.
fn write_over(pid: u32, random: &mut ChaCha8Rng) -> Result<()> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let spans: Vec<(u64, u64)> = maps
        .lines()
        .filter(|line| line.contains(" rw-p ") && !line.contains("[stack]"))
        .filter_map(|line| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some((
                u64::from_str_radix(start, 16).ok()?,
                u64::from_str_radix(end, 16).ok()?,
            ))
        })
        .collect();
    ensure!(!spans.is_empty(), "it has no writable memory");
    let memory = File::options().write(true).open(format!("/proc/{pid}/mem"))?;
    for _ in 0..WORDS {
        let word = |random: &mut ChaCha8Rng| {
            let (start, end) = spans[random.random_range(0..spans.len())];
            start + random.random_range(0..(end - start) / 8) * 8
        };
        let at = word(random);
        let value: u64 = match random.random_range(0..4) {
            0 => random.random_range(0..64),
            1 => word(random),
            2 => word(random) + 1,
            _ => random.random(),
        };
        // What was unmapped meanwhile cannot be written.
        let _ = memory.write_at(&value.to_le_bytes(), at);
    }
    Ok(())
}
