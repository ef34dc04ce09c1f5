//! Which Rust toolchain compiles the eBPF programs. `leakwatch/build.rs` and `cargo xtask setup` share this file, so what
//! setup reports is what the build takes.

use std::{
    env, fmt,
    path::Path,
    process::{Command, Stdio},
};

/// Environment variable that overrides the choice with the name of a rustup toolchain.
pub(crate) const OVERRIDE: &str = "LEAKWATCH_BPF_TOOLCHAIN";
/// Name under which `cargo xtask setup` links a distribution's toolchain that carries a compiled `core` for BPF.
pub(crate) const LINKED: &str = "leakwatch-bpf";
/// What the eBPF programs are compiled for.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// A toolchain that can compile for [`TARGET`].
pub(crate) struct BpfToolchain {
    /// Name for `rustup run`.
    pub(crate) name: String,
    pub(crate) core: Core,
    version: String,
}

/// Where `core` for BPF comes from: rustup ships none compiled.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Core {
    Source,
    Compiled,
}

impl fmt::Display for BpfToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Source => "core built from rust-src",
            Core::Compiled => "compiled core",
        };
        write!(f, "toolchain {}: {}, {core}", self.name, self.version)
    }
}

/// No toolchain qualifies; each candidate with the reason.
pub(crate) struct NoToolchain(Vec<(String, String)>);

impl fmt::Display for NoToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no toolchain here compiles Rust for {TARGET}")?;
        for (name, reason) in &self.0 {
            write!(f, "\n  {name}: {reason}")?;
        }
        Ok(())
    }
}

/// The first of: the one named by [`OVERRIDE`] (and then no other), a nightly with rust-src, [`LINKED`].
pub(crate) fn choose() -> Result<BpfToolchain, NoToolchain> {
    let candidates = match env::var(OVERRIDE) {
        Ok(name) => vec![name],
        Err(_) => vec!["nightly".to_owned(), LINKED.to_owned()],
    };
    let mut rejected = Vec::new();
    for name in candidates {
        match probe(&name) {
            Ok(toolchain) => return Ok(toolchain),
            Err(reason) => rejected.push((name, reason)),
        }
    }
    Err(NoToolchain(rejected))
}

/// Whether `bpf-linker` can be started from here.
pub(crate) fn linker_version() -> Option<String> {
    let output = Command::new("bpf-linker")
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn probe(name: &str) -> Result<BpfToolchain, String> {
    let version = rustc(name, &["--version"])?;
    // aya-build asks cargo for build-std on nightly compilers and for a compiled core on all others.
    if version.contains("-nightly") {
        let sysroot = rustc(name, &["--print", "sysroot"])?;
        let core = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core");
        return if core.is_dir() {
            Ok(BpfToolchain {
                name: name.to_owned(),
                core: Core::Source,
                version,
            })
        } else {
            Err("is installed, without its component rust-src".to_owned())
        };
    }
    let libraries = rustc(name, &["--target", TARGET, "--print", "target-libdir"])?;
    if Path::new(&libraries).is_dir() {
        Ok(BpfToolchain {
            name: name.to_owned(),
            core: Core::Compiled,
            version,
        })
    } else {
        Err(format!(
            "{version}: neither a nightly nor with a compiled core for {TARGET}"
        ))
    }
}

fn rustc(toolchain: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc"])
        .args(args)
        .output()
        .map_err(|error| format!("rustup cannot be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let message = String::from_utf8_lossy(&output.stderr);
        Err(message
            .lines()
            .next()
            .unwrap_or("rustc failed without a message")
            .to_owned())
    }
}
