//! A program of each runtime whose heap is read, which says itself what it holds.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{
    go::{self, Symbols},
    leaks, node, python,
    subject::Subject,
};

/// How much they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Some ten megabytes.
    Small,
    /// Some hundred megabytes and more.
    Large,
}

/// One that can be started.
pub struct Program {
    /// The runtime, as a census calls it.
    pub runtime: &'static str,
    executable: PathBuf,
    arguments: Vec<String>,
    says_ready: bool,
}

impl Program {
    /// Starts it, and waits until it holds what it will hold.
    pub fn start(&self) -> Result<Subject> {
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments);
        if self.says_ready {
            return Subject::start_ready(&mut command);
        }
        let mut subject = Subject::start(&mut command)?;
        let _: serde_json::Value = subject.answer()?;
        Ok(subject)
    }
}

/// Those of the runtimes that are here; they are built in `dir`.
pub fn all(dir: &Path, size: Size) -> Result<Vec<Program>> {
    let is_large = size == Size::Large;
    let count = |small: u32, large: u32| if is_large { large } else { small }.to_string();
    let source = |name: &str| leaks::path(name).display().to_string();
    let mut programs = Vec::new();
    let mut add = |runtime, executable, arguments, says_ready| {
        programs.push(Program {
            runtime,
            executable,
            arguments,
            says_ready,
        });
    };
    let native = dir.join("heap");
    if leaks::cpp("heap.cpp", &native)? {
        let arguments = vec!["2".to_owned(), count(40_000, 400_000)];
        add("glibc", native, arguments, true);
    }
    if let Some(toolchain) = go::toolchains()?.first() {
        let books = dir.join("books");
        go::build(toolchain, "books.go", Symbols::Kept, &books)?;
        add("go", books, vec![count(20_000, 100_000)], true);
    }
    if let Some(node) = node::releases()?.first() {
        let arguments = vec![source("books.js"), count(40_000, 400_000)];
        add("node", node.clone(), arguments, true);
    }
    let python = ["3.13", "3.12", "3.11"].into_iter().find_map(python::interpreter);
    if let Some(python) = python {
        let arguments = vec![source("runtimes/python/objects.py"), count(50_000, 400_000)];
        add("python", python, arguments, false);
    }
    let compiled = Command::new("javac")
        .args(["--release", "11", "-d"])
        .arg(dir)
        .arg(leaks::path("runtimes/java/Census.java"))
        .status();
    if compiled.is_ok_and(|status| status.success()) {
        let heap = if is_large { "-Xmx1g" } else { "-Xmx256m" };
        let mut arguments = ["-Xms64m", heap, "-cp", &dir.display().to_string(), "Census"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(count(100_000, 3_000_000));
        add("java", PathBuf::from("java"), arguments, true);
    }
    ensure!(!programs.is_empty(), "none of these runtimes is here");
    Ok(programs)
}
