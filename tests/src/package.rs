//! Programs that the suites need and that come from the distribution's packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// Where packages put programs besides `PATH`.
const EXTRA: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Finds `program` on `PATH` and where packages put servers. Where it is missing: an error in CI, which installs it; elsewhere a printed reason to skip and `None`.
pub fn find(program: &str, package: &str) -> Result<Option<PathBuf>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).chain(EXTRA.map(PathBuf::from)).collect();
    // Debian keeps the server programs of each major version in a directory of their own.
    dirs.extend(versions(Path::new("/usr/lib/postgresql")));
    find_in(dirs, program, package)
}

/// Finds the distribution's own build of `program`, which another one on `PATH` may hide. Where it is missing: as [`find`].
pub fn find_stock(program: &str, package: &str) -> Result<Option<PathBuf>> {
    find_in(vec![PathBuf::from("/usr/bin")], program, package)
}

/// Finds a library of a package in `directory`. Where it is missing: as [`find`].
pub fn find_library(directory: &Path, library: &str, package: &str) -> Result<Option<PathBuf>> {
    find_in(vec![directory.to_owned()], library, package)
}

fn find_in(dirs: Vec<PathBuf>, program: &str, package: &str) -> Result<Option<PathBuf>> {
    if let Some(found) = dirs
        .into_iter()
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
    {
        return Ok(Some(found));
    }
    if env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        bail!("no {program}: apt-get install {package}");
    }
    println!("SKIPPED: no {program}: apt-get install {package}");
    Ok(None)
}

fn versions(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path().join("bin")).collect()
}
