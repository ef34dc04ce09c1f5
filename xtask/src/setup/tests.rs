//! What the test suite runs against: real programs, other tracers, other kernels.

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::{apt, missing, ok};
use crate::debian::Suites;

/// A Debian package and a program that shows that it, or an equal from elsewhere, is there.
const PROGRAMS: &[(&str, &str)] = &[
    ("bpfcc-tools", "memleak-bpfcc"),
    ("bpftrace", "bpftrace"),
    ("busybox-static", "busybox"),
    ("default-jdk-headless", "javac"),
    ("erlang-base", "erl"),
    ("g++", "g++"),
    ("gcc", "gcc"),
    ("golang-go", "go"),
    ("libjemalloc2", "/usr/lib/*/libjemalloc.so.2"),
    ("libmimalloc2.0", "/usr/lib/*/libmimalloc.so.2.0"),
    ("libtcmalloc-minimal4", "/usr/lib/*/libtcmalloc_minimal.so.4"),
    ("lua5.4", "lua5.4"),
    ("luajit", "luajit"),
    ("mono-mcs", "mcs"),
    ("musl-tools", "musl-gcc"),
    ("nginx-light", "nginx"),
    ("nodejs", "node"),
    ("npm", "npm"),
    ("php-cli", "php"),
    ("postgresql", "/usr/lib/postgresql/*/bin/postgres"),
    ("prometheus", "prometheus"),
    ("prometheus-process-exporter", "prometheus-process-exporter"),
    ("python3", "python3"),
    ("python3-pip", "pip3"),
    ("ruby", "ruby"),
    ("runc", "runc"),
    ("strace", "strace"),
    ("tmux", "tmux"),
];

/// The newest qemu at hand: the one in Debian 12 itself kills some guests.
const QEMU: &str = "qemu-system-x86";
/// Suites to install it from, and the one with the newer version.
const QEMU_SUITES: &[&str] = &["bookworm", "bookworm-updates", "bookworm-security", QEMU_BACKPORT];
const QEMU_BACKPORT: &str = "bookworm-backports";

/// qemu, for `cargo xtask vm`.
pub(super) fn qemu(sh: &Shell) -> Result<()> {
    if !is_there(sh, "qemu-system-x86_64") {
        missing(QEMU);
        let bookworm = cmd!(sh, "sh -c '. /etc/os-release; echo $VERSION_CODENAME'")
            .quiet()
            .read()?
            == "bookworm";
        let newer = || Suites::fetch(sh, "qemu", QEMU_SUITES)?.install(QEMU_BACKPORT, &[QEMU]);
        if !bookworm {
            apt::install(sh, &[QEMU])?;
        } else if let Err(error) = newer() {
            eprintln!("no qemu from {QEMU_BACKPORT} ({error:#}): taking Debian 12's own");
            apt::install(sh, &[QEMU])?;
        }
    }
    let version = cmd!(sh, "qemu-system-x86_64 --version").quiet().read()?;
    ok(version.lines().next().unwrap_or(QEMU));
    Ok(())
}

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
