//! Who leaks: while another function takes and gives back ten times as many of the same kind, the function that leaks
//! comes first. `LEAKWATCH_RUNS=10` repeats every case ten times.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use leakwatch_tests::{
    agent::Agent,
    binary,
    container::{Bundle, Container},
    leaks::{Language, Leak, Mode},
    package, sites,
    table::Table,
};
use rustix::process::Signal;
use tempfile::TempDir;

/// Leaks a second of each program; the churn beside it is ten times that.
const RATE: u32 = 50;

/// How long they leak before they are judged.
const LEAKING: Duration = Duration::from_secs(10);

/// Looks at most.
const LOOKS: u32 = 3;

/// When they end if nobody ends them.
const END: Duration = Duration::from_mins(2);

/// One test at a time: each keeps the machine busy.
static ALONE: Mutex<()> = Mutex::new(());

/// What must come first.
struct Expected {
    what: String,
    pid: u32,
    kind: &'static str,
    function: String,
}

#[test]
fn programs_that_start_after_the_agent() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir()?;
    let programs = build(&dir)?;
    for _ in 0..runs()? {
        let agent = start_agent()?;
        let (leaks, expected) = start(&programs)?;
        thread::sleep(LEAKING);
        judge(&agent, &expected)?;
        drop(leaks);
        agent.stop(Signal::TERM)?;
    }
    Ok(())
}

#[test]
fn programs_that_start_before_the_agent() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir()?;
    let programs = build(&dir)?;
    for _ in 0..runs()? {
        let (leaks, expected) = start(&programs)?;
        thread::sleep(Duration::from_secs(1));
        let agent = start_agent()?;
        thread::sleep(LEAKING);
        judge(&agent, &expected)?;
        drop(leaks);
        agent.stop(Signal::TERM)?;
    }
    Ok(())
}

/// Inside, each program has the path of another program of the host: who looks there finds other symbols.
#[test]
fn programs_in_a_container() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(bundle) = Bundle::new()? else {
        return Ok(());
    };
    let dir = tempfile::tempdir()?;
    let mut script = Vec::new();
    for (language, program) in build(&dir)? {
        let inside = match language {
            Language::C => "bin/cat",
            Language::Cpp => "bin/date",
            Language::Rust => "bin/ls",
            Language::Go => "bin/sort",
        };
        ensure!(Path::new("/").join(inside).is_file(), "the host has no /{inside}");
        bundle.add_program(&program, inside)?;
        for mode in Mode::ALL {
            script.push(format!(
                "/{inside} {} {RATE} {} &",
                mode.argument(),
                END.as_secs()
            ));
        }
    }
    script.push("wait".to_owned());
    bundle.configure(&["/bin/busybox", "sh", "-c", &script.join("\n")], &[])?;
    for _ in 0..runs()? {
        let agent = start_agent()?;
        let container = Container::start(&bundle)?;
        let expected = inside(container.pid()?)?;
        thread::sleep(LEAKING);
        judge(&agent, &expected)?;
        drop(container);
        agent.stop(Signal::TERM)?;
    }
    Ok(())
}

/// Programs as Debian ships them, whose only symbols are those they export: the innermost exported function is the answer.
/// Where everything between the system call and the interpreter's loop is static (Python's `open` and `socket`, bash's
/// `/dev/tcp`), none says more than that an interpreter runs; which script it was needs its own frames.
#[test]
fn stock_programs() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..runs()? {
        let agent = start_agent()?;
        let mut leaks = Vec::new();
        let mut expected = Vec::new();
        for stock in &STOCK {
            let Some(program) = package::find_stock(stock.program, stock.package)? else {
                continue;
            };
            let leak = Leak::start(Command::new(program).args([stock.flag, stock.script]))?;
            expected.push(Expected {
                what: format!("{} {}", stock.program, stock.kind),
                pid: leak.pid(),
                kind: stock.kind,
                function: stock.function.to_owned(),
            });
            leaks.push(leak);
        }
        thread::sleep(LEAKING);
        judge(&agent, &expected)?;
        drop(leaks);
        agent.stop(Signal::TERM)?;
    }
    Ok(())
}

/// A script that leaks 50 things a second until it is ended, or has leaked 900, and takes and gives back ten times as many.
struct Stock {
    program: &'static str,
    package: &'static str,
    flag: &'static str,
    script: &'static str,
    kind: &'static str,
    function: &'static str,
}

const STOCK: [Stock; 6] = [
    Stock {
        program: "bash",
        package: "bash",
        flag: "-c",
        script: "exec {never}<> <(:)
                 for ((i = 0; i < 900; i++)); do
                     exec {leaked}</dev/null
                     for ((j = 0; j < 10; j++)); do source /dev/null; done
                     read -rt 0.02 -u $never
                 done
                 read -rt 60 -u $never",
        kind: "file",
        function: "do_redirections",
    },
    Stock {
        program: "perl",
        package: "perl-base",
        flag: "-e",
        script: "for (1 .. 900) {
                     open(my $leaked, '<', '/dev/null'); push @leaked, $leaked;
                     for (1 .. 10) { opendir(my $closed, '/'); closedir($closed) }
                     select(undef, undef, undef, 0.02);
                 }
                 sleep 60",
        kind: "file",
        function: "PerlIOUnix_open",
    },
    Stock {
        program: "perl",
        package: "perl-base",
        flag: "-e",
        script: "for (1 .. 900) {
                     socket(my $leaked, 2, 1, 0); push @leaked, $leaked;
                     for (1 .. 5) { socketpair(my $one, my $other, 1, 1, 0) }
                     select(undef, undef, undef, 0.02);
                 }
                 sleep 60",
        kind: "socket",
        function: "Perl_pp_socket",
    },
    Stock {
        program: "python3",
        package: "python3",
        flag: "-c",
        script: "import os, time
def keep_input():
    os.dup(0)
for _ in range(900):
    keep_input()
    for _ in range(10):
        open('/dev/null').close()
    time.sleep(0.02)
time.sleep(60)",
        kind: "duplicate",
        function: "keep_input",
    },
    Stock {
        program: "python3",
        package: "python3",
        flag: "-c",
        script: "import threading, time
def start_waiter():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
for _ in range(900):
    start_waiter()
    for _ in range(10):
        finished = threading.Thread(target=int)
        finished.start()
        finished.join()
    time.sleep(0.02)
time.sleep(60)",
        kind: "thread",
        function: "start_waiter",
    },
    Stock {
        program: "python3",
        package: "python3",
        flag: "-c",
        script: "import mmap, time
leaked = []
def keep_page():
    leaked.append(bytearray(200_000))
for _ in range(900):
    keep_page()
    for _ in range(10):
        mmap.mmap(-1, 65_536).close()
    time.sleep(0.02)
time.sleep(60)",
        kind: "mapping",
        function: "keep_page",
    },
];

fn build(dir: &TempDir) -> Result<Vec<(Language, PathBuf)>> {
    let mut programs = Vec::new();
    for language in Language::ALL {
        if let Some(program) = language.build(dir.path())? {
            programs.push((language, program));
        }
    }
    Ok(programs)
}

/// Starts every program in every mode.
fn start(programs: &[(Language, PathBuf)]) -> Result<(Vec<Leak>, Vec<Expected>)> {
    let (mut leaks, mut expected) = (Vec::new(), Vec::new());
    for (language, program) in programs {
        for mode in Mode::ALL {
            let leak = Leak::of(program, mode, RATE, END)?;
            expected.push(Expected::of(*language, mode, leak.pid()));
            leaks.push(leak);
        }
    }
    Ok((leaks, expected))
}

/// The children of a container's first process, as the host counts.
fn inside(init: u32) -> Result<Vec<Expected>> {
    let started = Language::ALL.len() * Mode::ALL.len();
    let children = sites::wait_for(Duration::from_secs(5), || {
        let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children"))?;
        let children: Vec<u32> = children
            .split_ascii_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok((children.len() == started).then_some(children))
    })?
    .context("not every program of the container runs")?;
    // The shell starts them in the order of the script.
    let order = Language::ALL
        .into_iter()
        .flat_map(|language| Mode::ALL.map(|mode| (language, mode)));
    Ok(order
        .zip(children)
        .map(|((language, mode), pid)| Expected::of(language, mode, pid))
        .collect())
}

impl Expected {
    fn of(language: Language, mode: Mode, pid: u32) -> Self {
        Self {
            what: format!("{} {}", language.program(), mode.argument()),
            pid,
            kind: mode.kind(language),
            function: language.function(mode),
        }
    }
}

/// Names are looked up when somebody asks for them: the last look counts.
fn judge(agent: &Agent, expected: &[Expected]) -> Result<()> {
    let mut verdict = look(agent, expected)?;
    for _ in 1..LOOKS {
        if verdict.wrong.is_empty() {
            break;
        }
        verdict = look(agent, expected)?;
    }
    println!("{}", verdict.table);
    ensure!(
        verdict.wrong.is_empty(),
        "{} of {} wrong:\n{}",
        verdict.wrong.len(),
        expected.len(),
        verdict.wrong.join("\n")
    );
    Ok(())
}

struct Verdict {
    table: Table,
    wrong: Vec<String>,
}

fn look(agent: &Agent, expected: &[Expected]) -> Result<Verdict> {
    let snapshot = agent.snapshot_of_all(expected.iter().map(|one| one.pid))?;
    let mut table = Table::new(&["program", "expected", "first", "live", "second", "live"]);
    let mut wrong = Vec::new();
    for one in expected {
        let row = sites::row(&snapshot, one.pid)
            .with_context(|| format!("{}: process {} is not in the snapshot", one.what, one.pid))?;
        let blamed = sites::by_function(row, one.kind);
        let cells = |index: usize| {
            blamed
                .get(index)
                .map_or([String::new(), String::new()], |blamed| {
                    [blamed.function.unwrap_or("-").to_owned(), blamed.live.to_string()]
                })
        };
        let [first, first_live] = cells(0);
        let [second, second_live] = cells(1);
        table.row([
            one.what.clone(),
            one.function.clone(),
            first,
            first_live,
            second,
            second_live,
        ]);
        if !sites::top_is(row, one.kind, &one.function) {
            wrong.push(format!("{}: {}", one.what, sites::describe(row, one.kind)));
        }
    }
    Ok(Verdict { table, wrong })
}

fn start_agent() -> Result<Agent> {
    Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))
}

fn runs() -> Result<u32> {
    env::var("LEAKWATCH_RUNS").map_or(Ok(1), |runs| {
        runs.parse()
            .with_context(|| format!("LEAKWATCH_RUNS is `{runs}`, not a number"))
    })
}
