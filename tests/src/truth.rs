//! What `/proc` says about a process: the truth that every level leakwatch reports is held against.

mod fds;
mod maps;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};

pub use fds::kind_of_link;

/// `PF_KTHREAD` of `task_struct.flags` (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// One process as `/proc/PID` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Thread group id.
    pub pid: u32,
    /// Command name, as the kernel has it.
    pub name: String,
    /// State letter of the thread group leader: `Z` also when only the leader has exited.
    pub leader_state: char,
    /// The parent's pid.
    pub parent_pid: u32,
    /// When it started, clock ticks since boot (`USER_HZ`).
    pub start_ticks: u64,
    /// Live threads: an exited leader that waits for its threads is not one.
    pub threads: u32,
    /// Open descriptors by kind, named as leakwatch names them.
    pub fd_kinds: BTreeMap<String, u32>,
    /// Soft `RLIMIT_NOFILE`; `None` is unlimited.
    pub fd_limit: Option<u64>,
    /// What it has in memory; `None` for a zombie and for a kernel thread.
    pub memory: Option<Memory>,
}

/// The memory of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// `RssAnon`.
    pub rss_anon_bytes: u64,
    /// `RssFile`.
    pub rss_file_bytes: u64,
    /// `RssShmem`.
    pub rss_shmem_bytes: u64,
    /// `VmSwap`.
    pub swap_bytes: u64,
    /// Mappings, the kernel's own vsyscall page aside.
    pub maps: u32,
    /// Sum of the mappings that no file backs.
    pub mapped_anon_bytes: u64,
}

impl Truth {
    /// Open descriptors.
    pub fn fds(&self) -> u32 {
        self.fd_kinds.values().sum()
    }

    /// Whether the whole process has exited and waits to be reaped.
    pub fn is_zombie(&self) -> bool {
        self.threads == 0
    }

    /// Reads one process; `None` when there is none (any more). Needs root to see other users' descriptors.
    pub fn read(pid: u32) -> Result<Option<Self>> {
        match Self::read_live(pid) {
            Ok(truth) => Ok(Some(truth)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.context(format!("cannot read /proc/{pid}"))),
        }
    }

    fn read_live(pid: u32) -> Result<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let stat = Stat::read(&dir)?;
        let live_tasks = live_tasks(&dir)?;
        // The leader's own files are gone once it has exited, while the other threads still hold theirs.
        let (fd_kinds, memory, fd_limit) = match live_tasks.first() {
            None => (BTreeMap::new(), None, None),
            Some(task) => (
                fds::by_kind(task)?,
                Memory::read(task)?,
                nofile_soft(&fs::read_to_string(task.join("limits"))?)?,
            ),
        };
        Ok(Self {
            pid,
            name: stat.name,
            leader_state: stat.state,
            parent_pid: stat.parent_pid,
            start_ticks: stat.start_ticks,
            threads: u32::try_from(live_tasks.len())?,
            fd_kinds,
            fd_limit,
            memory,
        })
    }
}

impl Memory {
    fn read(task: &Path) -> Result<Option<Self>> {
        let status = String::from_utf8_lossy(&fs::read(task.join("status"))?).into_owned();
        if !status.contains("\nRssAnon:") {
            return Ok(None);
        }
        let maps = maps::read(task)?;
        Ok(Some(Self {
            rss_anon_bytes: status_bytes(&status, "RssAnon")?,
            rss_file_bytes: status_bytes(&status, "RssFile")?,
            rss_shmem_bytes: status_bytes(&status, "RssShmem")?,
            swap_bytes: status_bytes(&status, "VmSwap")?,
            maps: maps.count,
            mapped_anon_bytes: maps.anonymous_bytes,
        }))
    }
}

/// The pid of every user process, with its parent's: kernel threads are left out, zombies are not.
pub fn user_processes() -> Result<BTreeMap<u32, u32>> {
    let mut parents = BTreeMap::new();
    for pid in numeric_entries(Path::new("/proc"))? {
        match Stat::read(&PathBuf::from(format!("/proc/{pid}"))) {
            Ok(stat) if stat.flags & PF_KTHREAD == 0 => {
                parents.insert(pid, stat.parent_pid);
            }
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(parents)
}

/// What is used of `/proc/PID/stat`.
struct Stat {
    name: String,
    state: char,
    parent_pid: u32,
    flags: u32,
    start_ticks: u64,
}

impl Stat {
    fn read(dir: &Path) -> Result<Self> {
        let bytes = fs::read(dir.join("stat"))?;
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Result<Self> {
        // The name may hold spaces and parentheses itself: it ends at the last one.
        let (head, tail) = text.rsplit_once(") ").context("no name in stat")?;
        let name = head.split_once('(').context("no name in stat")?.1.to_owned();
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        // proc_pid_stat(5) numbers from 1 and the state is its field 3.
        let field = |number: usize| fields.get(number - 3).copied().context("stat is too short");
        Ok(Self {
            name,
            state: field(3)?.chars().next().context("no state in stat")?,
            parent_pid: number(field(4)?)?,
            flags: number(field(9)?)?,
            start_ticks: number(field(22)?)?,
        })
    }
}

/// The directories of the threads that have not exited.
fn live_tasks(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut live = Vec::new();
    for tid in numeric_entries(&dir.join("task"))? {
        let task = dir.join("task").join(tid.to_string());
        match Stat::read(&task) {
            Ok(stat) if !matches!(stat.state, 'Z' | 'X') => live.push(task),
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(live)
}

fn numeric_entries(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn nofile_soft(limits: &str) -> Result<Option<u64>> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .context("no `Max open files` in limits")?;
    match line.split_ascii_whitespace().next() {
        Some("unlimited") => Ok(None),
        Some(value) => Ok(Some(number(value)?)),
        None => bail!("no value for `Max open files` in limits"),
    }
}

fn status_bytes(status: &str, key: &str) -> Result<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .with_context(|| format!("no {key} in status"))?;
    let kib = value
        .trim()
        .strip_suffix(" kB")
        .with_context(|| format!("{key} is not in kB"))?;
    Ok(number::<u64>(kib)? * 1024)
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<T> {
    text.parse().with_context(|| format!("`{text}` is not a number"))
}

/// A process that exits while it is read makes its files vanish (`ENOENT`) or fail (`ESRCH`).
fn is_gone(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == ErrorKind::NotFound || cause.raw_os_error() == Some(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::{Stat, Truth, nofile_soft, user_processes};

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let stat = Stat::parse("7 (a) Z 1 (b) R 3 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0").unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent_pid, stat.start_ticks),
            ("a) Z 1 (b", 'R', 3, 99)
        );
    }

    #[test]
    fn limits_may_be_unlimited() {
        let line = |value: &str| format!("Max open files            {value}              4096       files\n");
        assert_eq!(nofile_soft(&line("unlimited")).unwrap(), None);
        assert_eq!(nofile_soft(&line("1024")).unwrap(), Some(1024));
    }

    #[test]
    fn this_process_is_a_user_process_and_kthreadd_is_not() {
        let pids = user_processes().unwrap();
        assert!(pids.contains_key(&std::process::id()));
        let kthreadd = Truth::read(2).unwrap();
        assert!(kthreadd.is_none_or(|truth| truth.name != "kthreadd") || !pids.contains_key(&2));
    }

    #[test]
    fn no_process_is_no_error() {
        assert_eq!(Truth::read(u32::MAX / 2).unwrap(), None);
    }
}
