//! `cargo xtask eval live` and `eval runtimes`: build what they need, as it is shipped, and start them.

use std::ffi::OsString;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{build, root, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to run them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// `binary` is one of `tests/src/bin`.
pub(crate) fn eval(sh: &Shell, binary: &str, args: &Args) -> Result<()> {
    setup::test_needs(sh)?;
    let leakwatch = build::release(sh)?;
    cmd!(
        sh,
        "cargo build --release --package leakwatch-tests --bin {binary}"
    )
    .run()?;
    let program = leakwatch.with_file_name(binary).display().to_string();
    Ok(root::command(sh, &program)?.args(&args.arguments).run()?)
}
