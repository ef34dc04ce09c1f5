//! `cargo xtask eval`: builds `tests/src/bin/eval` and starts it.

use std::ffi::OsString;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::build;

/// Evaluate the detector on made-up programs, beside what others do (see `eval -- --help`)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn eval(sh: &Shell, args: &Args) -> Result<()> {
    cmd!(sh, "cargo build --release --package leakwatch-tests --bin eval").run()?;
    let eval = build::target_dir(sh).join("release/eval");
    let arguments = &args.arguments;
    Ok(cmd!(sh, "{eval} {arguments...}").run()?)
}
