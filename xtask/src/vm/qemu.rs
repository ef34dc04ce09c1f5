//! Boots a kernel in QEMU without acceleration and reads what its init reported.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use super::kernels::Kernel;

/// A machine that has not powered off by then has died: a run takes 10 to 40 s.
const TIMEOUT: Duration = Duration::from_mins(4);

/// What the second serial port said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    /// Seconds from power-on to init.
    pub(super) boot_seconds: Option<f64>,
    /// Step and exit code, in the order they ended.
    pub(super) steps: Vec<(String, i32)>,
    /// Whether the last step was followed by an orderly end: without it the machine died.
    pub(super) complete: bool,
}

/// The CPU to emulate. QEMU before 10 corrupts flags after cmpxchg16b, of which kernels die.
pub(super) fn cpu(sh: &Shell) -> Result<&'static str> {
    let version = cmd!(sh, "qemu-system-x86_64 --version")
        .quiet()
        .read()
        .context("no qemu: run `cargo xtask setup --tests`")?;
    let major = version
        .split("version ")
        .nth(1)
        .and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let Some(major) = major else {
        bail!("qemu-system-x86_64 --version says no version: {version}")
    };
    Ok(if major < 10 { "max,-cx16" } else { "max" })
}

/// Boots the kernel with the initramfs; the console goes to `directory/console.log`.
pub(super) fn boot(kernel: &Kernel, initramfs: &Path, cpu: &str, directory: &Path) -> Result<Report> {
    let (console, result) = (directory.join("console.log"), directory.join("result.log"));
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-M",
            "pc",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            cpu,
            "-smp",
            "1",
            "-m",
            "3072",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .args(["-no-reboot", "-nographic", "-nodefaults", "-monitor", "none"])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", result.display()))
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("qemu.log"))?)
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let started = Instant::now();
    while machine.try_wait()?.is_none() {
        if started.elapsed() > TIMEOUT {
            machine.kill()?;
            machine.wait()?;
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(parse(&String::from_utf8_lossy(
        &fs::read(&result).unwrap_or_default(),
    )))
}

fn parse(result: &str) -> Report {
    let mut report = Report::default();
    for line in result.lines() {
        match *line.split_whitespace().collect::<Vec<_>>() {
            ["boot", seconds] => report.boot_seconds = seconds.parse().ok(),
            ["step", name, code] => report
                .steps
                .extend(code.parse().ok().map(|code| (name.to_owned(), code))),
            ["end"] => report.complete = true,
            _ => {}
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::{Report, parse};

    #[test]
    fn a_report_is_complete_only_with_its_end() {
        let died = parse("boot 4.10\r\nstep doctor 1\r\n");
        assert_eq!(
            died,
            Report {
                boot_seconds: Some(4.1),
                steps: vec![("doctor".to_owned(), 1)],
                complete: false
            }
        );
        assert!(parse("boot 4.10\r\nstep doctor 1\r\nend\r\n").complete);
    }
}
