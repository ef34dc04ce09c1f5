//! `cargo xtask run -- ARGS`: from a clone to leakwatch on this machine in one command.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};
use xshell::Shell;

use crate::{build, root};

/// Set up, build, and run leakwatch with ARGS (as root, through sudo if need be)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// leakwatch's own arguments, for example `top`
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Verbs that only print, or read a recording: they need no root.
const UNPRIVILEGED: &[&str] = &[
    "help",
    "--help",
    "-h",
    "--version",
    "-V",
    "completions",
    "man",
    "replay",
];

pub(crate) fn run(sh: &Shell, args: &Args) -> Result<()> {
    let binary = build::release(sh)?;
    let unprivileged = args
        .arguments
        .iter()
        .any(|argument| UNPRIVILEGED.iter().any(|name| argument == name));
    // Replaces this process, so that signals, the terminal and the exit code are leakwatch's own.
    let mut command = if unprivileged {
        Command::new(&binary)
    } else {
        let program = binary
            .to_str()
            .context("the path of the target directory is not UTF-8")?;
        Command::from(root::command(sh, program)?)
    };
    let error = command.args(&args.arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}
