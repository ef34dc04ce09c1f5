//! `cargo xtask build`: the release binary.

use std::{env, path::PathBuf};

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::setup;

/// Sets up what is missing, builds the release binary and returns its path.
pub(crate) fn release(sh: &Shell) -> Result<PathBuf> {
    setup::build_needs(sh)?;
    cmd!(sh, "cargo build --release --package leakwatch").run()?;
    let binary = target_dir(sh).join("release/leakwatch");
    ensure!(binary.is_file(), "cargo built no {}", binary.display());
    eprintln!("built {}", binary.display());
    Ok(binary)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(sh: &Shell) -> PathBuf {
    sh.current_dir()
        .join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
