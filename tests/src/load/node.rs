//! Node.js.

use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Program, fixture};
use crate::{agent::free_address, package};

/// Starts it; `None` where Node.js is missing.
pub fn start() -> Result<Option<Program>> {
    let Some(node) = package::find("node", "nodejs")? else {
        return Ok(None);
    };
    let address = free_address()?;
    let mut command = Command::new(node);
    command.arg(fixture("server.js")).arg(address.port().to_string());
    Program::start(command, tempfile::tempdir()?, address, Signal::TERM).map(Some)
}
