//! Python: a thread for every connection.

use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Program, fixture};
use crate::{agent::free_address, package};

/// Starts it; `None` where Python is missing.
pub fn start() -> Result<Option<Program>> {
    let Some(python) = package::find("python3", "python3")? else {
        return Ok(None);
    };
    let address = free_address()?;
    let mut command = Command::new(python);
    command.arg(fixture("server.py")).arg(address.port().to_string());
    Program::start(command, tempfile::tempdir()?, address, Signal::TERM).map(Some)
}
