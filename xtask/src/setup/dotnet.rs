//! .NET, which Debian does not have. PyPI has a runtime as `dotnetcore2`, without a compiler: Debian's `mcs` makes assemblies.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use super::{missing, ok};

/// A version and the package with it.
const VERSIONS: &[(&str, &str)] = &[("3.1", "dotnetcore2==3.1.23")];
/// Where they are put, by version; below the repository.
const DIRECTORY: &str = "target/dotnet";

/// Installs those that are missing. The packages are for x86-64 only.
pub(super) fn runtimes(sh: &Shell) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let directory = sh.current_dir().join(DIRECTORY);
    for (version, package) in VERSIONS {
        let to = directory.join(version);
        let dotnet = to.join("dotnet");
        if !dotnet.is_file() {
            missing(&format!(".NET {version}, from PyPI's dotnetcore2"));
            install(sh, package, &to)?;
        }
        ensure!(
            dotnet.is_file(),
            "installed, and yet not there: {}",
            dotnet.display()
        );
    }
    ok(&format!("{} version of .NET", VERSIONS.len()));
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
    fs::rename(unpacked.join("dotnetcore2/bin"), to)?;
    Ok(fs::remove_dir_all(&unpacked)?)
}
