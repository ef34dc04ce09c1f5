//! Where the `leakwatch` under test is, and how it is run to its end.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};

/// The program under test: `LEAKWATCH_BIN`, else the release and then the debug build of this workspace.
pub fn leakwatch() -> Result<PathBuf> {
    if let Some(path) = env::var_os("LEAKWATCH_BIN") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "LEAKWATCH_BIN is {}, where there is no file",
            path.display()
        );
        return Ok(path);
    }
    let target = target_directory()?;
    for profile in ["release", "debug"] {
        let path = target.join(profile).join("leakwatch");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!(
        "no leakwatch in {}: run `cargo xtask build`, or name one in LEAKWATCH_BIN",
        target.display()
    )
}

/// The example that takes one census: built by `cargo test`, as every example.
pub fn census() -> Result<PathBuf> {
    let target = target_directory()?;
    let mut built = ["release", "debug"]
        .into_iter()
        .map(|profile| target.join(profile).join("examples/census"));
    built.find(|path| path.is_file()).with_context(|| {
        let target = target.display();
        format!("no census in {target}: run `cargo build -p leakwatch --example census`")
    })
}

/// This test's own program is `TARGET/PROFILE/deps/NAME`, wherever `TARGET` is.
pub fn target_directory() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find this program's own path")?;
    let profile = own.ancestors().skip(1).find(|dir| !dir.ends_with("deps"));
    Ok(profile
        .and_then(Path::parent)
        .context("this program is in no target directory")?
        .to_owned())
}

/// Runs it to its end.
pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Result<Output> {
    Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))
}

/// Runs it and returns its standard output; an exit code other than 0 is an error that shows its standard error.
pub fn stdout<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Result<Vec<u8>> {
    let output = run(program, arguments)?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}
