//! `cargo xtask vm`: the same binary on other real kernels, booted in QEMU without acceleration.

mod initramfs;
mod kernels;
mod qemu;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::{build, root};
use kernels::{Kernel, Kernels};
use qemu::Report;

/// Boot other kernels in QEMU and run leakwatch and its tests on them
///
/// Kernels and builds are kept under target/vm; remove it to get newer kernels.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Series of a Debian cloud kernel; more than once for several
    #[arg(long = "kernel", value_name = "SERIES", default_values = KERNELS)]
    kernels: Vec<String>,
    /// Record a leak on this host too, as root, and replay it in the machine, where nothing else is the same
    #[arg(long, conflicts_with_all = ["program", "arguments"])]
    replay: bool,
    /// A program to put into the machine instead of leakwatch
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Run the program once with these arguments instead of the tests, and show its console: `-- top --once`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The oldest supported kernel, Debian's stable ones, and the newest two that Debian has built.
const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "6.18", "7.2"];

/// What goes into the machine beside leakwatch, by its names as cargo's binary targets.
const TESTERS: &[&str] = &["stress", "vm_exactness", "second_machine"];
/// What `second_machine record` leaves for `second_machine replay`.
const RECORDED: &[&str] = &["recording", "seen", "kernel"];

/// A command that runs in the machine.
struct Step {
    name: &'static str,
    command: String,
    /// Exit codes that are a pass.
    passing: &'static [i32],
}

impl Step {
    /// The one step of a trial.
    fn once(program: &Path, arguments: &[String]) -> Result<Self> {
        let name = program
            .file_name()
            .context("--program is no file")?
            .to_string_lossy();
        let quoted = arguments
            .iter()
            .map(|argument| format!(" '{}'", argument.replace('\'', r"'\''")));
        Ok(Self {
            name: "trial",
            command: format!("/{name}{}", quoted.collect::<String>()),
            passing: &[0],
        })
    }
}

fn steps(replay: bool) -> Vec<Step> {
    let mut steps = vec![
        // 1 is "degraded": an old kernel lacks a hook, and its fallback took over.
        Step {
            name: "doctor",
            command: "/leakwatch doctor".to_owned(),
            passing: &[0, 1],
        },
        Step {
            name: "exactness",
            command: "/vm_exactness --leakwatch /leakwatch --stress /stress".to_owned(),
            passing: &[0],
        },
    ];
    if replay {
        steps.push(Step {
            name: "replay",
            command: "/second_machine replay /".to_owned(),
            passing: &[0],
        });
    }
    steps
}

pub(crate) fn vm(sh: &Shell, args: &Args) -> Result<()> {
    let directory = build::target_dir(sh).join("vm");
    sh.create_dir(&directory)?;
    let cpu = qemu::cpu(sh)?;
    let programs = match &args.program {
        Some(path) => vec![sh.current_dir().join(path)],
        None => build_programs(sh)?,
    };
    let trial = args.program.is_some() || !args.arguments.is_empty();
    let steps = if trial {
        vec![Step::once(&programs[0], &args.arguments)?]
    } else {
        steps(args.replay)
    };
    let mut files = programs;
    if args.replay {
        files.extend(record(sh, &directory, &files)?);
    }
    let initramfs = initramfs::pack(sh, &directory, &files, &steps)?;
    let kernels = Kernels::cached_in(sh, directory.join("kernels"))?;
    let mut failed = Vec::new();
    for series in &args.kernels {
        let kernel = kernels.get(series)?;
        let report = boot(&kernel, &initramfs, cpu, &directory)?;
        if !print(&kernel, &report, &steps, &directory, trial)? {
            failed.push(kernel.release);
        }
    }
    ensure!(failed.is_empty(), "failed on {}", failed.join(", "));
    Ok(())
}

/// Watches a leak on this host until it is suspected, with the binary that goes into the machine.
fn record(sh: &Shell, directory: &Path, programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let recorded = directory.join("recorded");
    sh.remove_path(&recorded)?;
    sh.create_dir(&recorded)?;
    let program = |name: &str| programs.iter().find(|program| program.ends_with(name));
    let (leakwatch, recorder) = program("leakwatch")
        .zip(program("second_machine"))
        .context("not built")?;
    root::command(sh, &recorder.display().to_string())?
        .args(["record", "--leakwatch"])
        .args([leakwatch, &recorded])
        .run()?;
    Ok(RECORDED.iter().map(|name| recorded.join(name)).collect())
}

/// Boots once, and once more if the machine itself died: emulators do.
fn boot(kernel: &Kernel, initramfs: &Path, cpu: &str, directory: &Path) -> Result<Report> {
    let directory = directory.join(&kernel.release);
    std::fs::create_dir_all(&directory)?;
    let report = qemu::boot(kernel, initramfs, cpu, &directory)?;
    if report.complete {
        return Ok(report);
    }
    eprintln!(
        "{}: the machine died after {} steps; second try",
        kernel.release,
        report.steps.len()
    );
    std::fs::rename(directory.join("console.log"), directory.join("console-first.log"))?;
    qemu::boot(kernel, initramfs, cpu, &directory)
}

/// One line for each step, and the console if it is asked for or one failed; whether all passed.
fn print(kernel: &Kernel, report: &Report, steps: &[Step], directory: &Path, console: bool) -> Result<bool> {
    let mut passed = report.complete;
    let boot = report.boot_seconds.map_or("never booted".to_owned(), |seconds| {
        format!("boot {seconds:.1} s")
    });
    println!("{} ({boot})", kernel.release);
    for step in steps {
        let code = report
            .steps
            .iter()
            .find_map(|(name, code)| (name == step.name).then_some(*code));
        let pass = code.is_some_and(|code| step.passing.contains(&code));
        let verdict = if pass { "PASS" } else { "FAIL" };
        let code = code.map_or("did not end".to_owned(), |code| format!("exit code {code}"));
        println!("  {verdict} {}: {code}", step.name);
        passed &= pass;
    }
    let log = directory.join(&kernel.release).join("console.log");
    if console || !passed {
        eprintln!(
            "{}\nconsole of {}: {}",
            terminal_safe(&std::fs::read(&log)?),
            kernel.release,
            log.display()
        );
    }
    Ok(passed)
}

/// The firmware clears the screen, which must not clear ours.
fn terminal_safe(console: &[u8]) -> String {
    String::from_utf8_lossy(console).replace(|c: char| c.is_control() && c != '\n' && c != '\t', "")
}

/// The programs as they are released.
fn build_programs(sh: &Shell) -> Result<Vec<PathBuf>> {
    let leakwatch = build::release(sh)?;
    let binaries = TESTERS.iter().flat_map(|name| ["--bin", name]);
    cmd!(
        sh,
        "cargo build --release --package leakwatch-tests {binaries...}"
    )
    .run()?;
    let testers: Vec<_> = TESTERS
        .iter()
        .map(|name| leakwatch.with_file_name(name))
        .collect();
    Ok([vec![leakwatch], testers].concat())
}
