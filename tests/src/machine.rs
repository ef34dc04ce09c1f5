//! Where and when something was measured.

use std::{fs, time::SystemTime};

use anyhow::{Context as _, Result};

/// The machine, the date and the command, as one paragraph.
pub fn describe(command: &str) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = rustix::system::uname();
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    Ok(format!(
        "`{command}` on {}: {} x {model}, {} GiB of memory, Linux {} ({}), leakwatch {}; load average {} when it began.\n",
        &date[..10],
        cores(),
        memory_gib()?,
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        env!("CARGO_PKG_VERSION"),
        load_average()?,
    ))
}

/// The command that started this program, with the arguments it was given.
pub fn command_line(command: &str) -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        return command.to_owned();
    }
    let quoted = arguments.iter().map(|argument| {
        if argument.contains(char::is_whitespace) {
            format!("{argument:?}")
        } else {
            argument.clone()
        }
    });
    format!("{command} -- {}", quoted.collect::<Vec<_>>().join(" "))
}

/// Processors this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Load average of the last minute: what else kept the machine busy, and what the measurement itself did.
pub fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    let first = text
        .split_ascii_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    first.context("/proc/loadavg is empty")
}

fn memory_gib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let total = text.lines().find_map(|line| {
        let kib: u64 = line
            .strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(kib.div_ceil(1 << 20))
    });
    total.context("no MemTotal in /proc/meminfo")
}
