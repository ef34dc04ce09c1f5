//! Debian's package manager.

use std::{io, process::Command};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::root;

/// Whether this machine has apt.
pub(crate) fn available(sh: &Shell) -> bool {
    cmd!(sh, "apt-get --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_ok()
}

/// Refreshes the package lists.
pub(crate) fn update(sh: &Shell) -> Result<()> {
    // A third-party source that cannot be reached must not stop us: whether our packages are there is checked afterwards.
    apt_get(sh, &["update", "-q"], &[]).map(drop)
}

/// Whether apt knows a version of the package that it could install.
pub(crate) fn has_candidate(sh: &Shell, package: &str) -> bool {
    cmd!(sh, "apt-cache policy {package}")
        .env("LC_ALL", "C")
        .quiet()
        .read()
        .is_ok_and(|policy| {
            policy
                .lines()
                .any(|line| line.trim().starts_with("Candidate:") && !line.contains("(none)"))
        })
}

/// Installs packages, removing none.
pub(crate) fn install(sh: &Shell, packages: &[&str]) -> Result<()> {
    let options = ["install", "-q", "-y", "--no-install-recommends", "--no-remove"];
    if apt_get(sh, &options, packages)? {
        return Ok(());
    }
    // Lists older than the mirror name versions that are gone.
    update(sh)?;
    ensure!(
        apt_get(sh, &options, packages)?,
        "apt could not install {}",
        packages.join(" ")
    );
    Ok(())
}

/// Runs apt-get as root, its report on stderr; whether it succeeded.
fn apt_get(sh: &Shell, options: &[&str], packages: &[&str]) -> Result<bool> {
    let command = root::command(sh, "env")?
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(options)
        .args(packages);
    eprintln!("$ {command}");
    let status = Command::from(command)
        .stdout(io::stderr())
        .status()
        .context("cannot start apt-get")?;
    Ok(status.success())
}
