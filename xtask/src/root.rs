//! Running a command as root.

use anyhow::{Result, bail};
use xshell::{Cmd, Shell, cmd};

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The command that runs `program` as root: itself when we are, else through sudo.
pub(crate) fn command<'a>(sh: &'a Shell, program: &str) -> Result<Cmd<'a>> {
    if is_root() {
        Ok(sh.cmd(program))
    } else if cmd!(sh, "sudo --version").quiet().ignore_stderr().read().is_ok() {
        Ok(cmd!(sh, "sudo {program}"))
    } else {
        bail!(
            "{program} needs root here, and there is no sudo: become root (`su -`) and run the same cargo command again"
        )
    }
}
