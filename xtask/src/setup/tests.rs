//! What the test suite runs against: real programs, other tracers, other kernels.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::{apt, missing, ok};

/// A Debian package and a program that shows that it, or an equal from elsewhere, is there.
const PROGRAMS: &[(&str, &str)] = &[
    ("bpftrace", "bpftrace"),
    ("busybox-static", "busybox"),
    ("cpio", "cpio"),
    ("default-jdk-headless", "javac"),
    ("gcc", "gcc"),
    ("golang-go", "go"),
    ("nginx-light", "nginx"),
    ("nodejs", "node"),
    ("postgresql", "/usr/lib/postgresql/*/bin/postgres"),
    ("prometheus", "prometheus"),
    ("prometheus-process-exporter", "prometheus-process-exporter"),
    ("python3", "python3"),
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("runc", "runc"),
    ("strace", "strace"),
    ("tmux", "tmux"),
];

/// Installs those that are missing.
pub(super) fn packages(sh: &Shell) -> Result<()> {
    let absent = || {
        PROGRAMS
            .iter()
            .filter(|(_, program)| !is_there(sh, program))
            .map(|(package, _)| *package)
    };
    let packages: Vec<_> = absent().collect();
    if packages.is_empty() {
        ok(&format!("all {} programs that tests run against", PROGRAMS.len()));
        return Ok(());
    }
    missing(&format!("for the tests: {}", packages.join(" ")));
    ensure!(
        apt::available(sh),
        "no apt on this machine: install what these Debian packages hold, then run this again"
    );
    apt::update(sh)?;
    apt::install(sh, &packages)?;
    let still: Vec<_> = absent().collect();
    ensure!(
        still.is_empty(),
        "installed, and yet not on PATH: {}",
        still.join(" ")
    );
    ok(&format!("all {} programs that tests run against", PROGRAMS.len()));
    Ok(())
}

/// On PATH, or in one of the directories that Debian puts servers in and users' PATHs lack.
fn is_there(sh: &Shell, program: &str) -> bool {
    let found = "command -v $1 || ls /usr/sbin/$1 || { case $1 in /*) ls $1;; *) false;; esac; }";
    cmd!(sh, "sh -c {found} sh {program}")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
}
