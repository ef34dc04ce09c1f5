//! Java, from one source file.

use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::{Program, fixture};
use crate::{agent::free_address, package};

/// Starts it; `None` where Java is missing.
pub fn start() -> Result<Option<Program>> {
    let Some(java) = package::find("java", "openjdk-17-jdk-headless")? else {
        return Ok(None);
    };
    let address = free_address()?;
    let mut command = Command::new(java);
    command
        .arg("-Xmx256m")
        .arg(fixture("Server.java"))
        .arg(address.port().to_string());
    Program::start(command, tempfile::tempdir()?, address, Signal::TERM).map(Some)
}
