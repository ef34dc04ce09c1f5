//! The Go toolchains of this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{binary, leaks, package};

/// Whether a program keeps its symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbols {
    /// As `go build` makes it.
    Kept,
    /// As most that is released: `-ldflags="-s -w"`.
    Stripped,
}

/// The one on `PATH`, and those where `golang.org/dl` puts them: `~/sdk/go1.24.1`.
pub fn toolchains() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = package::find("go", "golang-go")?.into_iter().collect();
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    if let Ok(sdks) = fs::read_dir(home.join("sdk")) {
        let mut sdks: Vec<PathBuf> = sdks
            .flatten()
            .map(|sdk| sdk.path().join("bin/go"))
            .filter(|go| go.is_file())
            .collect();
        sdks.sort();
        found.extend(sdks);
    }
    Ok(found)
}

/// Builds a program of `tests/programs`.
pub fn build(go: &Path, source: &str, symbols: Symbols, output: &Path) -> Result<()> {
    let mut command = Command::new(go);
    command.arg("build");
    if symbols == Symbols::Stripped {
        command.args(["-ldflags", "-s -w"]);
    }
    let built = command
        .arg("-o")
        .arg(output)
        .arg(leaks::path(source))
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off")
        .env("GOCACHE", binary::target_directory()?.join("go-cache"))
        .env("GOTOOLCHAIN", "local")
        .output()
        .with_context(|| format!("cannot run {}", go.display()))?;
    ensure!(
        built.status.success(),
        "{} build {source}: {}",
        go.display(),
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(())
}
