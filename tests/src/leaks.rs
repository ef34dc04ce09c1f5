//! The programs of `tests/programs`, which leak on purpose: built for the test, started, ended.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{binary, package};

/// What `leak` is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// gcc, without frame pointers.
    C,
    /// g++, without frame pointers.
    Cpp,
    /// rustc, optimised, without frame pointers.
    Rust,
    /// go, stripped.
    Go,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::C, Self::Cpp, Self::Rust, Self::Go];

    /// Name of its `leak`.
    pub fn program(self) -> &'static str {
        match self {
            Self::C => "leak-c",
            Self::Cpp => "leak-cc",
            Self::Rust => "leak-rs",
            Self::Go => "leak-go",
        }
    }

    /// The function that leaks, as a developer would name it.
    pub fn function(self, mode: Mode) -> String {
        let name = match mode {
            Mode::Fd => "descriptor",
            Mode::Socket => "socket",
            Mode::Thread => "thread",
            Mode::Mmap => "mapping",
        };
        match self {
            Self::C => format!("leak_{name}"),
            Self::Cpp => format!("shop::OrderBook::leak_{name}"),
            Self::Rust => format!("leak::orders::leak_{name}"),
            Self::Go => format!("main.leak{}{}", name[..1].to_uppercase(), &name[1..]),
        }
    }

    /// Builds its `leak` in `dir`; `None` where there is no compiler.
    pub fn build(self, dir: &Path) -> Result<Option<PathBuf>> {
        let output = dir.join(self.program());
        let built = match self {
            Self::C => c("leak.c", &output)?,
            Self::Cpp => cpp("leak.cc", &output)?,
            Self::Rust => rust("leak.rs", &output)?,
            Self::Go => go("leak.go", &output)?,
        };
        Ok(built.then_some(output))
    }
}

/// What it leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Descriptors of a file.
    Fd,
    /// Sockets.
    Socket,
    /// Threads that wait for ever.
    Thread,
    /// Anonymous mappings.
    Mmap,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fd, Self::Socket, Self::Thread, Self::Mmap];

    /// Its name on the command line of `leak`.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Fd => "fd",
            Self::Socket => "socket",
            Self::Thread => "thread",
            Self::Mmap => "mmap",
        }
    }

    /// Its name in the sites of a program in `language`. Go's runtime makes threads on stacks of its own, when others are
    /// busy: who keeps one shows only in where it waits.
    pub fn kind(self, language: Language) -> &'static str {
        match self {
            Self::Thread if language == Language::Go => "waiting_thread",
            Self::Fd => "file",
            Self::Socket => "socket",
            Self::Thread => "thread",
            Self::Mmap => "mapping",
        }
    }
}

/// A program that leaks; dropping it ends it.
pub struct Leak(Child);

impl Leak {
    /// Starts `command`; what it says is not read.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Starts `program`, a `leak`, to leak `rate` things a second for `duration`.
    pub fn of(program: &Path, mode: Mode, rate: u32, duration: Duration) -> Result<Self> {
        let (rate, seconds) = (rate.to_string(), duration.as_secs().to_string());
        Self::start(Command::new(program).args([mode.argument(), &rate, &seconds]))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// An error that says so if it has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "process {} ended: {ended:?}", self.pid());
        Ok(())
    }
}

impl Drop for Leak {
    fn drop(&mut self) {
        let _already_ended = self.0.kill();
        let _already_reaped = self.0.wait();
    }
}

/// Builds a C program of `tests/programs`, as a distribution would, and says whether there is a compiler.
pub fn c(source: &str, output: &Path) -> Result<bool> {
    compile("gcc", "gcc", &["-std=gnu11"], source, output)
}

/// The same of C++.
pub fn cpp(source: &str, output: &Path) -> Result<bool> {
    compile("g++", "g++", &["-std=c++17"], source, output)
}

/// Builds a C program of `tests/programs` statically with musl, and says whether there is a compiler.
pub fn musl(source: &str, output: &Path) -> Result<bool> {
    compile(
        "musl-gcc",
        "musl-tools",
        &["-std=gnu11", "-static"],
        source,
        output,
    )
}

/// Builds a shared library of `tests/programs` from C, and says whether there is a compiler.
pub fn library(source: &str, output: &Path) -> Result<bool> {
    compile("gcc", "gcc", &["-std=gnu11", "-shared", "-fPIC"], source, output)
}

/// Builds a Go program of `tests/programs`, stripped, and says whether there is a compiler.
pub fn go(source: &str, output: &Path) -> Result<bool> {
    go_files(&[source], output)
}

/// The same of several files.
pub fn go_files(sources: &[&str], output: &Path) -> Result<bool> {
    let Some(go) = package::find("go", "golang-go")? else {
        return Ok(false);
    };
    let mut command = Command::new(go);
    command
        .args(["build", "-ldflags", "-s -w", "-o"])
        .arg(output)
        .args(sources.iter().map(|source| path(source)))
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", binary::target_directory()?.join("go-cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off");
    run(command)
}

/// Builds a Rust program of `tests/programs`, optimised, and says whether there is a compiler.
pub fn rust(source: &str, output: &Path) -> Result<bool> {
    let rustc = match env::var_os("RUSTC") {
        Some(rustc) => PathBuf::from(rustc),
        None => match package::find("rustc", "rustc")? {
            Some(rustc) => rustc,
            None => return Ok(false),
        },
    };
    let mut command = Command::new(rustc);
    command
        .args(["--edition", "2024", "-O", "-C", "force-frame-pointers=no"])
        // The standard library brings line tables; what is left is what `strip --strip-debug` leaves.
        .args(["-C", "strip=debuginfo", "-o"])
        .arg(output)
        .arg(path(source));
    run(command)
}

fn compile(compiler: &str, package: &str, extra: &[&str], source: &str, output: &Path) -> Result<bool> {
    let Some(compiler) = package::find(compiler, package)? else {
        return Ok(false);
    };
    let mut command = Command::new(compiler);
    command
        .args(extra)
        .args(["-O2", "-fomit-frame-pointer", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(output)
        .arg(path(source))
        .arg("-pthread");
    run(command)
}

fn run(mut command: Command) -> Result<bool> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(true)
}

/// A file of `tests/programs`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

#[cfg(test)]
mod tests {
    use super::{Language, Mode};

    #[test]
    fn functions_are_named_as_their_language_names_them() {
        let name = |language: Language| language.function(Mode::Fd);
        assert_eq!(
            Language::ALL.map(name),
            [
                "leak_descriptor",
                "shop::OrderBook::leak_descriptor",
                "leak::orders::leak_descriptor",
                "main.leakDescriptor"
            ]
        );
    }
}
