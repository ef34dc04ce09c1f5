//! `cargo xtask setup`: what the build (and with `--tests` the test suite) needs is on this machine, or is installed, or the
//! commands that install it are printed. Running it again changes nothing and takes a moment.

mod apt;
mod bpf;
mod dotnet;
mod go;
mod java;
mod node;
mod packages;
mod tests;

use anyhow::Result;
use xshell::Shell;

pub(crate) use bpf::{Core as BpfCore, TARGET as BPF_TARGET, clippy as bpf_clippy};

/// Check what the build needs; on Debian and Ubuntu install it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also what the test suite needs: runtimes, servers and tracers to test against, qemu
    #[arg(long)]
    tests: bool,
}

pub(crate) fn setup(sh: &Shell, args: &Args) -> Result<()> {
    build_needs(sh)?;
    if args.tests {
        test_needs(sh)?;
    }
    Ok(())
}

/// What every build needs.
pub(crate) fn build_needs(sh: &Shell) -> Result<()> {
    bpf::linker(sh, &bpf::toolchain(sh)?)
}

/// What the test suite needs on top.
pub(crate) fn test_needs(sh: &Shell) -> Result<()> {
    tests::packages(sh)?;
    java::runtimes(sh)?;
    dotnet::runtimes(sh)?;
    go::toolchains(sh)?;
    node::runtimes(sh)?;
    tests::qemu(sh)
}

/// One check that passed.
fn ok(what: &str) {
    eprintln!("ok      {what}");
}

/// One check that failed and is being mended.
fn missing(what: &str) {
    eprintln!("missing {what}");
}
