//! clippy, with warnings as errors.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{build, setup};

/// All that runs on the host, tests and privileged suites too.
pub(super) fn host(sh: &Shell) -> Result<()> {
    setup::build_needs(sh)?;
    Ok(cmd!(
        sh,
        "cargo clippy --all-targets --features leakwatch-tests/privileged -- -D warnings"
    )
    .run()?)
}

/// The pure half must stand without the loader.
pub(super) fn without_probes(sh: &Shell) -> Result<()> {
    Ok(cmd!(
        sh,
        "cargo clippy --package leakwatch --no-default-features --all-targets -- -D warnings"
    )
    .run()?)
}

/// The eBPF programs compile for BPF only, with the toolchain that builds them.
pub(super) fn ebpf(sh: &Shell) -> Result<()> {
    let toolchain = setup::bpf_clippy(sh)?;
    let name = &toolchain.name;
    let target = setup::BPF_TARGET;
    let target_dir = build::target_dir(sh).join("ebpf-clippy");
    let core = (toolchain.core == setup::BpfCore::Source)
        .then_some(["-Z", "build-std=core"])
        .into_iter()
        .flatten();
    cmd!(sh, "rustup run {name} cargo clippy --package leakwatch-ebpf --release --target {target} --target-dir {target_dir}")
        .args(core)
        .args(["--", "-D", "warnings"])
        // aya-build passes the same.
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"")
        .run()?;
    Ok(())
}
