//! With feature `kernel`: compiles the eBPF programs to `$OUT_DIR/leakwatch-ebpf`, which the agent embeds, or fails and says
//! what is missing. Without it there is nothing to build.

#[cfg(feature = "kernel")]
#[path = "build/bpf_toolchain.rs"]
mod bpf_toolchain;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "kernel")]
    if let Err(error) = ebpf::build() {
        // One line each, and cargo fails the build: readable, unlike the dump that follows a failing exit code.
        for line in format!("{error:#}").lines() {
            println!("cargo::error={line}");
        }
    }
}

#[cfg(feature = "kernel")]
mod ebpf {
    use std::{env, fs, path::PathBuf};

    use anyhow::{Context as _, Result, bail, ensure};
    use aya_build::{Package, Toolchain};

    use super::bpf_toolchain;

    const PACKAGE: &str = "leakwatch-ebpf";
    const FIX: &str = "run `cargo xtask setup`: it installs what is missing, or says what to install";

    pub(super) fn build() -> Result<()> {
        // aya-build watches the package itself; these are what else goes into the object.
        for input in [
            "build",
            "../leakwatch-common",
            "../Cargo.toml",
            "../Cargo.lock",
            "../.cargo/config.toml",
        ] {
            println!("cargo::rerun-if-changed={input}");
        }
        println!("cargo::rerun-if-env-changed={}", bpf_toolchain::OVERRIDE);

        ensure!(
            env::var_os("AYA_BUILD_SKIP").is_none(),
            "AYA_BUILD_SKIP is set: there is no leakwatch without probes"
        );
        let toolchain = match bpf_toolchain::choose() {
            Ok(toolchain) => toolchain,
            Err(none) => bail!("the eBPF programs cannot be compiled: {none}\n{FIX}"),
        };
        let Some(linker) = bpf_toolchain::linker_version() else {
            bail!("the eBPF programs cannot be linked: bpf-linker cannot be started\n{FIX}");
        };
        println!("cargo::warning=eBPF programs: {toolchain}; {linker}");

        // SAFETY: this build script has one thread. Without this, cargo shows every line of the inner cargo's progress as a
        // warning of ours, in this build and in all later ones.
        unsafe { env::set_var("CARGO_TERM_QUIET", "true") };
        let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
            .join("..")
            .join(PACKAGE);
        let root_dir = root
            .to_str()
            .context("the path of this repository is not UTF-8")?;
        let package = Package {
            name: PACKAGE,
            root_dir,
            ..Package::default()
        };
        aya_build::build_ebpf([package], Toolchain::Custom(&toolchain.name))
            .with_context(|| format!("the eBPF programs do not build with {toolchain} ({linker})"))?;

        // aya-build succeeds without an object when the package has no binary of that name.
        let object = PathBuf::from(env::var("OUT_DIR")?).join(PACKAGE);
        let bytes = fs::read(&object).with_context(|| format!("no eBPF object at {}", object.display()))?;
        ensure!(
            bytes.starts_with(b"\x7fELF"),
            "{} is not an ELF object",
            object.display()
        );
        Ok(())
    }
}
