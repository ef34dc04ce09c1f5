//! What compiles and links the eBPF programs. Two ways: a rustup nightly with rust-src, which builds `core` itself, or
//! Debian's rustc-web, which brings a compiled `core` for BPF and so needs nothing that rustup would have to download.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use xshell::{Shell, cmd};

use super::{apt, missing, ok};
use toolchain::BpfToolchain;
pub(crate) use toolchain::{Core, TARGET};

#[path = "../../../leakwatch/build/bpf_toolchain.rs"]
mod toolchain;

/// Debian's compiler with a compiled `core` for BPF.
const COMPILER: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
/// The version that aya 0.14 is tested with.
const LINKER: &str = "0.13.0";
/// LLVM versions that this bpf-linker can be built for.
const LINKER_LLVM: &[u32] = &[21, 22, 23];

/// The toolchain that the build will choose; installed or linked first if there is none.
pub(super) fn toolchain(sh: &Shell) -> Result<BpfToolchain> {
    let toolchain = match toolchain::choose() {
        Ok(toolchain) => toolchain,
        Err(none) => {
            missing(&none.to_string());
            link_debian_toolchain(sh)?;
            match toolchain::choose() {
                Ok(toolchain) => toolchain,
                Err(none) => bail!(
                    "{none}\nit was linked, and yet does not work; if {} is set, unset it",
                    toolchain::OVERRIDE
                ),
            }
        }
    };
    ok(&format!("eBPF {toolchain}"));
    Ok(toolchain)
}

fn link_debian_toolchain(sh: &Shell) -> Result<()> {
    let installed =
        Path::new("/usr/bin/cargo").is_file() && Path::new("/usr/lib/rustlib").join(TARGET).is_dir();
    if !installed {
        ensure!(apt::available(sh), "no apt on this machine: {}", by_hand());
        let known = || COMPILER.iter().all(|package| apt::has_candidate(sh, package));
        if !known() {
            apt::update(sh)?;
        }
        ensure!(
            known(),
            "apt has no {} on this release: {}",
            COMPILER.join(", "),
            by_hand()
        );
        apt::install(sh, COMPILER)?;
    }
    let name = toolchain::LINKED;
    Ok(cmd!(sh, "rustup toolchain link {name} /usr").run()?)
}

/// bpf-linker, of a version that works, built for an LLVM at least as new as the toolchain's.
pub(super) fn linker(sh: &Shell, toolchain: &BpfToolchain) -> Result<()> {
    let found = toolchain::linker_version();
    if let Some(version) = found.as_deref().filter(|version| is_recent(version)) {
        ok(version);
        return Ok(());
    }
    missing(&format!(
        "bpf-linker {LINKER} or newer ({})",
        found.as_deref().unwrap_or("none found")
    ));
    ensure!(apt::available(sh), "no apt on this machine: {}", by_hand());
    let name = &toolchain.name;
    let Some(llvm) = packaged_llvm(sh, &cmd!(sh, "rustup run {name} rustc -vV").quiet().read()?) else {
        bail!("apt has no LLVM that is new enough for {name}: {}", by_hand());
    };
    apt::install(sh, &[&format!("llvm-{llvm}-dev"), "g++"])?;
    let feature = format!("llvm-{llvm}");
    cmd!(sh, "cargo install bpf-linker --version {LINKER} --locked --force --no-default-features --features {feature}")
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
        .run()?;
    match toolchain::linker_version() {
        Some(version) => ok(&version),
        None => bail!("bpf-linker was installed, but is not on PATH: add ~/.cargo/bin to PATH"),
    }
    Ok(())
}

/// The toolchain that the build will choose, with clippy.
pub(crate) fn clippy(sh: &Shell) -> Result<BpfToolchain> {
    let toolchain = toolchain(sh)?;
    let name = &toolchain.name;
    let there = || {
        cmd!(sh, "rustup run {name} cargo clippy --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok()
    };
    if !there() {
        missing(&format!("clippy of toolchain {name}"));
        if name == toolchain::LINKED {
            apt::install(sh, &["rust-web-clippy"])?;
        } else {
            cmd!(sh, "rustup component add clippy --toolchain {name}").run()?;
        }
    }
    Ok(toolchain)
}

fn is_recent(version: &str) -> bool {
    fn parts(version: &str) -> Vec<u32> {
        version.split('.').map_while(|part| part.parse().ok()).collect()
    }
    version
        .strip_prefix("bpf-linker ")
        .is_some_and(|version| parts(version) >= parts(LINKER))
}

/// The oldest LLVM that apt has, bpf-linker knows, and is not older than the compiler's: LLVM reads older bitcode only.
fn packaged_llvm(sh: &Shell, rustc_version: &str) -> Option<u32> {
    let compiler = rustc_version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    let compiler: u32 = compiler.split('.').next()?.parse().ok()?;
    let fits = |llvm: &u32| *llvm >= compiler && apt::has_candidate(sh, &format!("llvm-{llvm}-dev"));
    LINKER_LLVM.iter().copied().find(fits)
}

fn by_hand() -> String {
    format!(
        "install the eBPF toolchain by hand, then run this again:
    rustup toolchain install nightly --profile minimal --component rust-src
    cargo install cargo-binstall
    cargo binstall bpf-linker@{LINKER}"
    )
}

#[cfg(test)]
mod tests {
    use super::is_recent;

    #[test]
    fn linker_versions_compare_as_numbers() {
        assert!(is_recent("bpf-linker 0.13.0"));
        assert!(is_recent("bpf-linker 1.0.0"));
        assert!(!is_recent("bpf-linker 0.9.14"), "9 is not more than 13");
        assert!(!is_recent("ld 2.40"));
    }
}
