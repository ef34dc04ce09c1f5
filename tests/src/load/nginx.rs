//! nginx: a master and two workers.

use std::{fs, process::Command};

use anyhow::Result;
use rustix::process::Signal;

use super::Program;
use crate::{agent::free_address, package};

/// Starts it; `None` where nginx is missing.
pub fn start() -> Result<Option<Program>> {
    let Some(nginx) = package::find("nginx", "nginx-light")? else {
        return Ok(None);
    };
    let dir = tempfile::tempdir()?;
    let address = free_address()?;
    let root = dir.path().display();
    let config = format!(
        "daemon off; worker_processes 2; pid {root}/pid; error_log stderr error;
         events {{ worker_connections 256; }}
         http {{
           access_log {root}/access.log;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           server {{ listen {address}; location / {{ return 200 \"$request_id\\n\"; }} }}
         }}\n"
    );
    let path = dir.path().join("nginx.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(nginx);
    command.arg("-c").arg(path).arg("-e").arg("stderr");
    Program::start(command, dir, address, Signal::TERM).map(Some)
}
