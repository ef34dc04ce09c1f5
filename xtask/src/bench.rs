//! `cargo xtask bench`: builds what `tests/src/bin/bench` measures, as it is shipped, and starts it.

use std::ffi::OsString;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{build, root, setup};

/// Measure what leakwatch costs, beside other tools: overhead, scale, unwinding, trace, census (see `bench -- --help`)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure, and how
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn bench(sh: &Shell, args: &Args) -> Result<()> {
    setup::test_needs(sh)?;
    let leakwatch = build::release(sh)?;
    cmd!(
        sh,
        "cargo build --release --package leakwatch --example census --example empty_probes --example stack_samples"
    )
    .run()?;
    cmd!(sh, "cargo build --release --package leakwatch-tests --bin bench").run()?;
    let bench = leakwatch.with_file_name("bench");
    let program = bench.display().to_string();
    Ok(root::command(sh, &program)?.args(&args.arguments).run()?)
}
