//! `cargo xtask lint`: format, clippy on both sides of the kernel border, architecture; and a report on file sizes.

mod architecture;
mod clippy;
mod files;
mod modules;
mod paths;
mod sizes;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

/// One check and the name it is reported under.
type Check = (&'static str, fn(&Shell) -> Result<()>);

const CHECKS: &[Check] = &[
    ("format", format),
    ("architecture", architecture::check),
    ("clippy", clippy::host),
    ("clippy without probes", clippy::without_probes),
    ("clippy of the eBPF programs", clippy::ebpf),
];

/// Runs every check, also after one that failed.
pub(crate) fn lint(sh: &Shell) -> Result<()> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        match check(sh) {
            Ok(()) => eprintln!("ok      {name}"),
            Err(error) => {
                eprintln!("FAILED  {name}: {error:#}");
                failed.push(*name);
            }
        }
    }
    sizes::report(sh)?;
    ensure!(failed.is_empty(), "lint failed: {}", failed.join(", "));
    Ok(())
}

fn format(sh: &Shell) -> Result<()> {
    Ok(cmd!(sh, "cargo fmt --all --check").run()?)
}
