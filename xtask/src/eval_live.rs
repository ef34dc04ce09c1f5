//! `cargo xtask eval live`: builds what `tests/src/bin/eval_live` needs, as it is shipped, and starts it.

use std::ffi::OsString;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{build, root, setup};

/// Run real programs that leak, their fixed twins and healthy growers under leakwatch (see `eval live -- --help`)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to run them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn eval_live(sh: &Shell, args: &Args) -> Result<()> {
    setup::test_needs(sh)?;
    let leakwatch = build::release(sh)?;
    cmd!(
        sh,
        "cargo build --release --package leakwatch-tests --bin eval_live"
    )
    .run()?;
    let program = leakwatch.with_file_name("eval_live").display().to_string();
    Ok(root::command(sh, &program)?.args(&args.arguments).run()?)
}
