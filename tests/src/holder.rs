//! A process with a name of the test's choice that holds still.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::package;

/// A copy of `sleep` under another name; dropping it ends it.
pub struct Holder {
    child: Child,
    _dir: TempDir,
}

impl Holder {
    /// Starts it. The kernel keeps 15 bytes of `name`.
    pub fn start(name: &str) -> Result<Self> {
        let sleep = package::find("sleep", "coreutils")?.context("no sleep")?;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(name);
        fs::copy(sleep, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        // Ends by itself if the test cannot end it.
        let child = Command::new(&path)
            .arg("600")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", path.display()))?;
        Ok(Self { child, _dir: dir })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _already_reaped = self.child.wait();
    }
}
