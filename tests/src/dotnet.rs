//! Programs on the .NET that `cargo xtask setup --tests` puts into `target/dotnet`.

use std::{env, ffi::OsString, path::Path, process::Command};

use anyhow::{Result, bail, ensure};

use crate::{binary, leaks, package};

/// How a source in `tests/programs/runtimes/dotnet` is run, once it is built in `dir`. Where .NET or its compiler is
/// missing: an error in CI, which installs them; elsewhere a printed reason to skip and `None`.
pub fn program(source: &str, dir: &Path) -> Result<Option<Command>> {
    let Some(compiler) = package::find("mcs", "mono-mcs")? else {
        return Ok(None);
    };
    let dotnet = binary::target_directory()?.join("dotnet/3.1/dotnet");
    if !dotnet.is_file() {
        if env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            bail!("no {}: cargo xtask setup --tests", dotnet.display());
        }
        println!("SKIPPED: no {}: cargo xtask setup --tests", dotnet.display());
        return Ok(None);
    }
    let sources = leaks::path("runtimes/dotnet");
    let assembly = dir.join(source).with_extension("dll");
    let mut out = OsString::from("-out:");
    out.push(&assembly);
    let built = Command::new(compiler)
        .args(["-nologo", "-warn:0"])
        .arg(out)
        .arg(sources.join(source))
        .status()?;
    ensure!(built.success(), "{source} cannot be built");
    let mut command = Command::new(dotnet);
    command
        .args(["exec", "--runtimeconfig"])
        .arg(sources.join("runtimeconfig.json"))
        .arg(assembly);
    Ok(Some(command))
}
