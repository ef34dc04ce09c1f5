//! Go, built for the test.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{Program, fixture};
use crate::{agent::free_address, package};

/// Builds and starts it; `None` where Go is missing.
pub fn start() -> Result<Option<Program>> {
    let Some(go) = package::find("go", "golang-go")? else {
        return Ok(None);
    };
    let dir = tempfile::tempdir()?;
    let server = dir.path().join("server");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&server)
        .arg(fixture("server.go"))
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", dir.path().join("cache"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .status()
        .context("cannot run go")?;
    ensure!(built.success(), "go build ended with {built}");
    let address = free_address()?;
    let mut command = Command::new(server);
    command.arg(address.port().to_string());
    Program::start(command, dir, address, Signal::TERM).map(Some)
}
