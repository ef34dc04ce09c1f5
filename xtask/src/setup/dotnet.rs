//! .NET, which Debian does not have. PyPI has a runtime as `dotnetcore2`, without a compiler: Debian's `mcs` makes assemblies.

use anyhow::Result;
use xshell::Shell;

use super::{ok, packages};

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
        let what = format!(".NET {version}, from PyPI's dotnetcore2");
        packages::need(&to.join("dotnet"), &what, || {
            packages::from_pypi(sh, package, "dotnetcore2/bin", &to)
        })?;
    }
    ok(&format!("{} version of .NET", VERSIONS.len()));
    Ok(())
}
