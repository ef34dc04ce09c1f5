//! Threads: whether they ran, and where they wait.

use std::fs;

use super::look::{Sight, Sights};
use crate::process_stat;

/// One look at threads of a process.
pub(super) fn look(pid: u32, tids: &[u64]) -> Sights {
    tids.iter()
        .filter_map(|&tid| Some((tid, sight(pid, tid)?)))
        .collect()
}

fn sight(pid: u32, tid: u64) -> Option<Sight> {
    let directory = format!("/proc/{pid}/task/{tid}");
    let stat = process_stat::stat(&format!("{directory}/stat"))?;
    let field = |number| process_stat::field(&stat, number);
    let status = fs::read_to_string(format!("{directory}/status")).ok()?;
    let switches = status
        .lines()
        .filter_map(|line| line.split_once("ctxt_switches:"))
        .map(|(_, count)| count.trim());
    let switches = switches.collect::<Vec<_>>().join(" ");
    Some(Sight {
        identity: (tid, field(22)?),
        // Time in user mode and in the kernel too: a thread that never stops is never switched.
        mark: Some(format!("{} {} {switches}", field(14)?, field(15)?)),
        place: place(&directory),
        ..Sight::default()
    })
}

/// The function of the kernel that it sleeps in; where that is hidden, its system call.
fn place(directory: &str) -> Option<String> {
    let text = |name: &str| fs::read_to_string(format!("{directory}/{name}")).ok();
    let channel = text("wchan").filter(|channel| channel != "0" && !channel.is_empty());
    channel.or_else(|| {
        let call = text("syscall")?;
        let number: u64 = call.split_ascii_whitespace().next()?.parse().ok()?;
        Some(format!("system call {number}"))
    })
}
