//! The releases of OpenJDK of this machine, and programs for them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{binary, leaks};

/// Debian's, which is on `PATH`, and the others.
pub fn all() -> Result<Vec<PathBuf>> {
    let others = ["11", "21", "25"].map(release);
    std::iter::once(Ok(PathBuf::from("java"))).chain(others).collect()
}

/// One of those that `cargo xtask setup --tests` puts into `target/jdks`.
pub fn release(release: &str) -> Result<PathBuf> {
    let java = binary::target_directory()?
        .join("jdks")
        .join(release)
        .join("bin/java");
    ensure!(java.is_file(), "no {}: cargo xtask setup --tests", java.display());
    Ok(java)
}

/// A program of `tests/programs/runtimes/java`, compiled for all of them.
pub fn classes(source: &str) -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let status = Command::new("javac")
        .args(["--release", "11", "-d"])
        .arg(directory.path())
        .arg(leaks::path(&format!("runtimes/java/{source}")))
        .status()
        .context("no javac: cargo xtask setup --tests")?;
    ensure!(status.success(), "it does not compile");
    Ok(directory)
}
