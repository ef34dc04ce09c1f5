//! Who looks at the allocations of a process.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::trace::TraceReport;
use leakwatch_tests::binary;
use rustix::process::{Pid, Signal, kill_process};

use crate::process::Background;

/// memleak and bpftrace compile their programs first.
const PATIENCE: Duration = Duration::from_mins(1);
/// From leakwatch's prediction until it has attached.
const ATTACHED: Duration = Duration::from_secs(2);

/// What runs beside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watcher {
    Leakwatch,
    Memleak,
    Bpftrace,
}

/// One of them, attached.
pub(super) enum Running {
    Leakwatch(Child),
    Other(Background),
}

impl Watcher {
    /// leakwatch first.
    pub(super) const ALL: [Self; 3] = [Self::Leakwatch, Self::Memleak, Self::Bpftrace];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leakwatch => "leakwatch trace",
            Self::Memleak => "memleak (bcc)",
            Self::Bpftrace => "bpftrace",
        }
    }

    /// Returns when all of it is attached.
    pub(super) fn start(self, pid: u32) -> Result<Running> {
        let number = pid.to_string();
        match self {
            Self::Leakwatch => {
                let mut child = Command::new(binary::leakwatch()?)
                    .args([
                        "trace",
                        "--force",
                        "-o",
                        "json",
                        "--duration",
                        "60",
                        "--pid",
                        &number,
                    ])
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()?;
                let said = BufReader::new(child.stderr.take().context("no stderr")?);
                let mut lines = said.lines().map_while(Result::ok);
                ensure!(
                    lines.any(|line| line.starts_with("predicted cost")),
                    "leakwatch trace predicted nothing"
                );
                // It goes on: nobody listening must not stop it.
                thread::spawn(move || lines.count());
                thread::sleep(ATTACHED);
                Ok(Running::Leakwatch(child))
            }
            Self::Memleak => {
                let mut command = Command::new("memleak-bpfcc");
                command.args(["-p", &number, "60"]).env("PYTHONUNBUFFERED", "1");
                let mut memleak = Background::start(command)?;
                memleak.wait_for("Ctrl+C", PATIENCE)?;
                Ok(Running::Other(memleak))
            }
            Self::Bpftrace => {
                let mut command = Command::new("bpftrace");
                command.args(["-B", "line", "-p", &number, "-e", &script(pid)?]);
                let mut bpftrace = Background::start(command)?;
                bpftrace.wait_for("second", PATIENCE)?;
                Ok(Running::Other(bpftrace))
            }
        }
    }
}

impl Running {
    /// Ends it; what it predicted to add to an allocation and its free, nanoseconds.
    pub(super) fn end(self) -> Result<Option<f64>> {
        match self {
            Self::Leakwatch(child) => {
                let pid = Pid::from_raw(child.id().cast_signed()).context("pid 0")?;
                kill_process(pid, Signal::INT)?;
                let output = child.wait_with_output()?;
                ensure!(
                    output.status.success(),
                    "leakwatch trace ended with {}",
                    output.status
                );
                let report: TraceReport = serde_json::from_slice(&output.stdout)?;
                ensure!(report.samples > 0, "leakwatch trace was not attached in time");
                let first = report.suspects.first().and_then(|site| site.function.as_deref());
                ensure!(first == Some("leak_session"), "the first suspect is {first:?}");
                Ok(Some(report.cost.pair_ns))
            }
            // It is killed: at its end it would print what it has, which takes time.
            Self::Other(other) => {
                drop(other);
                Ok(None)
            }
        }
    }
}

/// What one would write for bpftrace: live allocations by size, with their stack.
fn script(pid: u32) -> Result<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let libc = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .find(|path| path.contains("/libc.so") || path.contains("/libc-"))
        .context("no libc.so")?;
    Ok(format!(
        "uprobe:{libc}:malloc {{ @bytes[tid] = arg0; }}\n\
         uretprobe:{libc}:malloc {{ @live[retval] = @bytes[tid]; @stack[retval] = ustack; delete(@bytes[tid]); }}\n\
         uprobe:{libc}:free {{ delete(@live[arg0]); delete(@stack[arg0]); }}\n\
         interval:s:1 {{ printf(\"second\\n\"); }}\n"
    ))
}
