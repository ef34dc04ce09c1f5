//! What a poller of `/proc` has to do for the levels that leakwatch reads: `stat`, `status` and the size of `fd` of every
//! process, once a second, as directly as the file system allows.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use rustix::fs::{AtFlags, CWD, statat};

const INTERVAL: Duration = Duration::from_secs(1);

/// Prints after each pass how many processes there were and how many seconds it took, until nobody reads that.
pub(crate) fn run() -> Result<()> {
    let mut buffer = Vec::new();
    let mut output = io::stdout();
    loop {
        let started = Instant::now();
        let table = pass(&mut buffer)?;
        writeln!(output, "{} {}", table.len(), started.elapsed().as_secs_f64())?;
        output.flush()?;
        thread::sleep(INTERVAL.saturating_sub(started.elapsed()));
    }
}

/// Levels of one process.
#[derive(Debug, PartialEq)]
struct Levels {
    pid: u32,
    name: String,
    start_ticks: u64,
    threads: u32,
    rss_anon_kib: u64,
    rss_file_kib: u64,
    swap_kib: u64,
    fds: u64,
}

fn pass(buffer: &mut Vec<u8>) -> Result<Vec<Levels>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Gone in between, or a kernel thread, which holds no memory of its own.
        if let Some(levels) = levels(pid, buffer) {
            table.push(levels);
        }
    }
    Ok(table)
}

fn levels(pid: u32, buffer: &mut Vec<u8>) -> Option<Levels> {
    let (name, threads, start_ticks) = stat(read(&format!("/proc/{pid}/stat"), buffer)?)?;
    let status = read(&format!("/proc/{pid}/status"), buffer)?;
    Some(Levels {
        pid,
        name,
        threads,
        start_ticks,
        rss_anon_kib: field(status, "RssAnon:")?,
        rss_file_kib: field(status, "RssFile:")?,
        swap_kib: field(status, "VmSwap:")?,
        fds: descriptors(pid)?,
    })
}

/// From Linux 6.2 on the size of `/proc/PID/fd` is the number of descriptors; before, it is 0 and entries are counted.
fn descriptors(pid: u32) -> Option<u64> {
    let directory = format!("/proc/{pid}/fd");
    let size = statat(CWD, &directory, AtFlags::empty()).ok()?.st_size;
    match u64::try_from(size).ok()? {
        0 => Some(fs::read_dir(directory).ok()?.count() as u64),
        size => Some(size),
    }
}

fn read<'a>(path: &str, buffer: &'a mut Vec<u8>) -> Option<&'a str> {
    buffer.clear();
    File::open(path).ok()?.read_to_end(buffer).ok()?;
    str::from_utf8(buffer).ok()
}

/// Name, threads and start time.
fn stat(text: &str) -> Option<(String, u32, u64)> {
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once(" (")?.1.to_owned();
    let mut fields = tail.split_ascii_whitespace();
    let threads = fields.nth(17)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    Some((name, threads, start_ticks))
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{levels, stat};

    #[test]
    fn this_process_has_levels() {
        let own = levels(std::process::id(), &mut Vec::new()).expect("own levels");
        assert!(
            own.rss_anon_kib > 0 && own.fds >= 3 && own.threads >= 1,
            "{own:?}"
        );
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_fields() {
        let line = "7 (a) R (b) S 1 7 7 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 4096 1";
        assert_eq!(stat(line), Some(("a) R (b".to_owned(), 3, 99)));
    }
}
