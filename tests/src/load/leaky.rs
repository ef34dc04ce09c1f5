//! A server on Go's `net/http`, stripped, that forgets to close one connection in a hundred.

use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use super::Program;
use crate::{agent::free_address, leaks};

/// Builds and starts it; `None` where Go is missing.
pub fn start() -> Result<Option<Program>> {
    let dir = tempfile::tempdir()?;
    let server = dir.path().join("server");
    if !leaks::go("server.go", &server)? {
        return Ok(None);
    }
    let address = free_address()?;
    let mut command = Command::new(server);
    command.arg(address.to_string());
    Program::start(command, dir, address, Signal::TERM).map(Some)
}
