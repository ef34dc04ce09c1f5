//! What a trace of allocations costs the process that is traced, beside what it said before, memleak and bpftrace.

mod watcher;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch_tests::{leaks, machine, markdown::Table};

use self::watcher::Watcher;
use crate::{
    process::{self, Background},
    spread::Spread,
};

/// Allocations and frees in one round of `tests/programs/allocations.c`.
const PAIRS: f64 = 100.0;
/// Allocators besides the C library's, by the file to load first.
const ALLOCATORS: [(&str, Option<&str>); 4] = [
    ("glibc", None),
    ("jemalloc", Some("libjemalloc.so.2")),
    ("tcmalloc", Some("libtcmalloc_minimal.so.4")),
    ("mimalloc", Some("libmimalloc.so.2.0")),
];
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures, and describes the results.
pub(crate) fn measure(quick: bool) -> Result<String> {
    let (rounds, seconds) = if quick { (1, 1) } else { (3, 3) };
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("allocations");
    ensure!(leaks::c("allocations.c", &program)?, "no C compiler");
    let mut table = Table::new(["allocator", "watched by", "ns", "added", "predicted"]);
    let mut notes = String::new();
    for (name, library) in ALLOCATORS {
        let library = match library.map(installed) {
            Some(None) => {
                writeln!(notes, "{name}: not installed.")?;
                continue;
            }
            Some(found) => found,
            None => None,
        };
        // The others know no way past the first instruction, and one allocator shows that.
        let watchers = if library.is_none() {
            &Watcher::ALL[..]
        } else {
            &Watcher::ALL[..1]
        };
        let mut found = vec![Vec::new(); watchers.len()];
        let mut untraced = Vec::new();
        for round in 0..rounds {
            eprintln!("{name}: round {} of {rounds}", round + 1);
            let nothing = pair_ns(&program, library.as_deref(), None, seconds)?.0;
            untraced.push(nothing);
            for (watcher, found) in watchers.iter().zip(&mut found) {
                match pair_ns(&program, library.as_deref(), Some(*watcher), seconds) {
                    Ok((ns, predicted)) => found.push((ns, ns - nothing, predicted)),
                    Err(error) if round == 0 => writeln!(notes, "{}: {error:#}", watcher.name())?,
                    Err(_) => {}
                }
            }
        }
        let spread = |values: &mut dyn Iterator<Item = f64>| Spread::of(values).map(|spread| spread.show(0));
        let none = String::new;
        table.row([
            name.to_owned(),
            "nothing".to_owned(),
            spread(&mut untraced.into_iter()).unwrap_or_default(),
            none(),
            none(),
        ]);
        for (watcher, found) in watchers.iter().zip(found) {
            let Some(ns) = spread(&mut found.iter().map(|(ns, ..)| *ns)) else {
                continue;
            };
            table.row([
                name.to_owned(),
                watcher.name().to_owned(),
                ns,
                spread(&mut found.iter().map(|(_, added, _)| *added)).unwrap_or_default(),
                spread(&mut found.iter().filter_map(|(.., predicted)| *predicted)).unwrap_or_default(),
            ]);
        }
    }
    Ok(format!(
        "{rounds} rounds of {seconds} s; load average {} when they ended. `median [min..max]`, nanoseconds of processor time of an allocation, its use and its free.\n\n{}\n{notes}",
        machine::load_average()?,
        table.render()
    ))
}

/// Nanoseconds of processor time of one allocation, its use and its free, in a program that does nothing else, and what was predicted to be added.
fn pair_ns(
    program: &Path,
    library: Option<&Path>,
    watcher: Option<Watcher>,
    seconds: u32,
) -> Result<(f64, Option<f64>)> {
    let mut command = Command::new(program);
    // As many rounds as it can make.
    command.arg("0");
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    let mut target = Background::start(command)?;
    rounds(&mut target)?;
    let running = watcher.map(|watcher| watcher.start(target.pid())).transpose()?;
    // What was said while the watcher began is old.
    target.drain();
    let before = (rounds(&mut target)?, processor_time(target.pid())?);
    let mut after = before;
    for _ in 0..seconds {
        after = (rounds(&mut target)?, processor_time(target.pid())?);
    }
    let predicted = running.map(watcher::Running::end).transpose()?.flatten();
    let made = after.0 - before.0;
    ensure!(made > 0.0, "no round was made");
    Ok(((after.1 - before.1) * 1e9 / (made * PAIRS), predicted))
}

/// What a breakpoint costs is the program's own time, and not that of who else runs.
fn processor_time(pid: u32) -> Result<f64> {
    let time = process::cpu_time(pid)?;
    Ok(time.user + time.system)
}

/// How many rounds the program says it has made.
fn rounds(target: &mut Background) -> Result<f64> {
    target.line(PATIENCE)?.parse().context("not a number of rounds")
}

fn installed(library: &str) -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join(library))
        .find(|path| path.is_file())
}
