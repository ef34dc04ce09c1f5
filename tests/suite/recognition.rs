//! Runtime, version and allocator come from a program's files and never from its name.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::snapshot::ProcessRow;
use leakwatch_tests::{agent::Agent, binary, dotnet, package};
use rustix::process::Signal;

/// A process is looked at again when it is five seconds old, because libraries are mapped while it starts.
const SETTLED: Duration = Duration::from_secs(6);
/// How long it may take until that shows.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that waits for its end of input.
struct Waiting(Child);

impl Waiting {
    fn start<A: Into<OsString>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        Self::start_as(program, program, arguments)
    }

    /// With another name as its argument 0.
    fn start_as<A: Into<OsString>>(
        name: impl AsRef<OsStr>,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let child = Command::new(program)
            .arg0(name)
            .args(arguments.into_iter().map(Into::into))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self(child))
    }

    /// What `agent` says of it when it is old enough.
    fn row(&self, agent: &Agent) -> Result<ProcessRow> {
        let began = Instant::now();
        loop {
            let snapshot = agent.snapshot()?;
            let row = snapshot
                .processes
                .into_iter()
                .find(|row| row.id.pid == self.0.id());
            let is_settled = |row: &ProcessRow| {
                let age = snapshot.uptime_ns.saturating_sub(row.id.start_time_ns);
                Duration::from_nanos(age) > SETTLED
            };
            if let Some(row) = row.filter(is_settled) {
                return Ok(row);
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "the agent does not know process {}",
                self.0.id()
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A runtime that packages provide, a program in it that waits, and how it says its version.
struct Stock {
    runtime: &'static str,
    package: &'static str,
    program: &'static str,
    waits: &'static [&'static str],
    version: &'static [&'static str],
}

const STOCK: &[Stock] = &[
    Stock {
        runtime: "python",
        package: "python3",
        program: "python3",
        waits: &["-c", "import sys; sys.stdin.read()"],
        version: &["--version"],
    },
    Stock {
        runtime: "node",
        package: "nodejs",
        program: "node",
        waits: &["-e", "process.stdin.resume()"],
        version: &["--version"],
    },
    Stock {
        runtime: "ruby",
        package: "ruby",
        program: "ruby",
        waits: &["-e", "STDIN.read"],
        version: &["-e", "puts RUBY_VERSION"],
    },
    Stock {
        runtime: "php",
        package: "php-cli",
        program: "php",
        waits: &["-r", "fgets(STDIN);"],
        version: &["-r", "echo PHP_VERSION;"],
    },
    Stock {
        runtime: "perl",
        package: "perl",
        program: "perl",
        waits: &["-e", "<STDIN>"],
        version: &["-e", "printf '%vd', $^V"],
    },
    Stock {
        runtime: "lua",
        package: "lua5.4",
        program: "lua5.4",
        waits: &["-e", "io.read()"],
        version: &["-v"],
    },
    Stock {
        runtime: "luajit",
        package: "luajit",
        program: "luajit",
        waits: &["-e", "io.read()"],
        version: &["-v"],
    },
    Stock {
        runtime: "erlang",
        package: "erlang-base",
        program: "erl",
        waits: &["-noinput"],
        version: &[
            "-noinput",
            "-eval",
            "io:put_chars(erlang:system_info(otp_release)), halt().",
        ],
    },
];

#[test]
fn stock_interpreters_are_what_they_say_they_are() -> Result<()> {
    let agent = agent()?;
    for stock in STOCK {
        let Some(program) = package::find_stock(stock.program, stock.package)? else {
            continue;
        };
        let row = Waiting::start(&program, stock.waits)?.row(&agent)?;
        assert_eq!(row.runtime.as_deref(), Some(stock.runtime), "{}", stock.program);
        let output = binary::run(&program, stock.version)?;
        // PUC Lua says its version on stdout, others on stderr.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let version = row.runtime_version.unwrap_or_default();
        let mut words = said.split(|c: char| c.is_whitespace() || c == 'v');
        assert!(words.any(|word| word == &*version), "{version} in {said}");
        assert_eq!(row.allocator.as_deref(), Some("glibc"), "{}", stock.program);
    }
    agent.stop(Signal::TERM)
}

#[test]
fn dotnet_is_what_its_directory_says() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let Some(program) = dotnet::program("Workers.cs", directory.path())? else {
        return Ok(());
    };
    let arguments = program.get_args().chain(["fixed".as_ref()]);
    let waiting = Waiting::start(Path::new(program.get_program()), arguments)?;
    let agent = agent()?;
    let row = waiting.row(&agent)?;
    assert_eq!(row.runtime.as_deref(), Some("dotnet"));
    assert_eq!(row.runtime_version.as_deref(), Some("3.1.23"));
    assert_eq!(row.allocator.as_deref(), Some("glibc"));
    agent.stop(Signal::TERM)
}

#[test]
fn a_name_decides_nothing() -> Result<()> {
    let agent = agent()?;
    let directory = tempfile::tempdir()?;
    let renamed = |from: &Path, to: &str| -> Result<PathBuf> {
        let path = directory.path().join(to);
        fs::copy(from, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    };
    if let Some(busybox) = package::find_stock("busybox", "busybox-static")? {
        let python = renamed(&busybox, "python3")?;
        // What it is called chooses what it does, unless its first argument says so.
        let row = Waiting::start_as("busybox", &python, ["cat"])?.row(&agent)?;
        assert_eq!(row.exe.as_deref(), python.to_str());
        assert_eq!((row.runtime, row.runtime_version), (None, None));
    }
    if let Some(python) = package::find_stock("python3", "python3")? {
        let x = renamed(&fs::canonicalize(python)?, "x")?;
        let row = Waiting::start(&x, ["-c", "import sys; sys.stdin.read()"])?.row(&agent)?;
        assert_eq!((row.name.as_str(), row.runtime.as_deref()), ("x", Some("python")));
        assert!(
            row.runtime_version
                .is_some_and(|version| version.starts_with("3."))
        );
    }
    agent.stop(Signal::TERM)
}

#[test]
fn allocators_that_take_the_place_of_the_c_librarys_are_told_apart() -> Result<()> {
    let agent = agent()?;
    for (name, package, library) in [
        ("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
        ("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
        ("mimalloc", "libmimalloc2.0", "libmimalloc.so.2.0"),
    ] {
        let directory = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let Some(library) = package::find_library(Path::new(&directory), library, package)? else {
            continue;
        };
        let mut preload = OsString::from("LD_PRELOAD=");
        preload.push(library);
        let row = Waiting::start(Path::new("/usr/bin/env"), [preload, "cat".into()])?.row(&agent)?;
        assert_eq!(
            (row.allocator.as_deref(), row.runtime.as_deref()),
            (Some(name), None)
        );
    }
    agent.stop(Signal::TERM)
}

fn agent() -> Result<Agent> {
    Agent::start::<&str>(&binary::leakwatch()?, [], Duration::from_secs(30))
}
