//! Programs that the suites need and that come from the distribution's packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// Where packages put programs besides `PATH`.
const EXTRA: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Finds `program`. Where it is missing: an error in CI, which installs it; elsewhere a printed reason to skip and `None`.
pub fn find(program: &str, package: &str) -> Result<Option<PathBuf>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).chain(EXTRA.map(PathBuf::from)).collect();
    // Debian keeps the server programs of each major version in a directory of their own.
    dirs.extend(versions(Path::new("/usr/lib/postgresql")));
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
