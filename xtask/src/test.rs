//! `cargo xtask test`: every test that this machine can run.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{build, root, setup};

/// The variable that tells cargo what to run test programs through.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";

pub(crate) fn test(sh: &Shell) -> Result<()> {
    setup::test_needs(sh)?;
    let binary = build::release(sh)?;
    cmd!(sh, "cargo test --no-fail-fast").run()?;
    // The pure half stands without the loader.
    cmd!(
        sh,
        "cargo test --package leakwatch --no-default-features --no-fail-fast"
    )
    .run()?;
    // Real probes: cargo builds as this user, only the test programs run as root.
    let privileged = cmd!(
        sh,
        "cargo test --package leakwatch-tests --features privileged --no-fail-fast"
    )
    .env("LEAKWATCH_BIN", binary);
    Ok(if root::is_root() {
        privileged
    } else {
        privileged.env(RUNNER, "sudo -E")
    }
    .run()?)
}
