//! Limits from `/proc` and the cgroup file systems: the one part of this module that does I/O.
//!
//! A limit that cannot be read is left out. Settings are read once a minute, what the host uses once a tick, the files of a
//! cgroup at most once a tick and only for processes that are asked for, the limits of a process when it is first asked for
//! and then once a minute.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use super::{
    LimitSubject, Limits,
    cgroup::{self, Files},
    cgroup_paths::{self, Cgroup, Mount},
    host::{self, Settings, Usage},
    rlimits::{self, Rlimits},
    sort,
};
use crate::model::{
    finding::{Limit, Resource},
    identity::ProcessId,
    snapshot::LimitUse,
};

/// How long what rarely changes is kept.
const KEEP_NS: u64 = 60_000_000_000;
/// How long the limits of a process that is not asked for any more are kept.
const FORGET_NS: u64 = 3 * KEEP_NS;
/// Processes that are read anew in one tick, those that are seen for the first time aside.
const MAX_REREAD: usize = 256;
/// Cgroups that are read in one tick, those that are seen for the first time aside.
const MAX_CGROUPS: usize = 1024;

/// Bits of `CapEff` (include/uapi/linux/capability.h): who has one of them may exceed `RLIMIT_NPROC` (kernel/fork.c).
const SYS_ADMIN_OR_RESOURCE: u64 = 1 << 21 | 1 << 24;

/// Reads limits.
#[derive(Debug, Default)]
pub struct HostLimits {
    now_ns: u64,
    tick: u64,
    settings: Option<(u64, Settings)>,
    mounts: Option<(u64, Vec<Mount>)>,
    /// What the host uses, as of this tick.
    usage: Option<Usage>,
    threads_of_user: HashMap<u32, u64>,
    processes: HashMap<ProcessId, Known>,
    cgroups: HashMap<PathBuf, CgroupLimits>,
    reread: usize,
    cgroups_read: usize,
}

/// What is kept of a process.
#[derive(Debug)]
struct Known {
    read_ns: u64,
    asked_ns: u64,
    cgroup_id: u64,
    rlimits: Rlimits,
    /// Its real user where `RLIMIT_NPROC` binds it; `None` where it does not.
    counted_user: Option<u32>,
    cgroups: Vec<Cgroup>,
}

#[derive(Debug)]
struct CgroupLimits {
    tick: u64,
    asked_ns: u64,
    limits: Vec<LimitUse>,
}

impl Limits for HostLimits {
    fn of_process(&mut self, process: &LimitSubject) -> Vec<LimitUse> {
        let settings = self.settings();
        let mut limits = host::limits(&settings, &self.usage());
        limits.extend(self.own(process, &settings));
        // Taken out and put back: reading cgroups changes the rest.
        if let Some(known) = self.processes.remove(&process.id) {
            for cgroup in &known.cgroups {
                limits.extend_from_slice(self.of_cgroup(cgroup));
            }
            self.processes.insert(process.id, known);
        }
        sort(&mut limits);
        limits
    }

    fn of_host(&mut self) -> Vec<LimitUse> {
        let mut limits = host::limits(&self.settings(), &self.usage());
        sort(&mut limits);
        limits
    }
}

impl HostLimits {
    /// A tick begins. `users` are the effective user and the threads of each process: Linux counts threads against
    /// `RLIMIT_NPROC` by real user, which is another one only while a program of somebody else's runs (setuid).
    pub fn begin_tick(&mut self, now_ns: u64, users: impl Iterator<Item = (u32, u64)>) {
        self.tick += 1;
        self.now_ns = now_ns;
        self.usage = None;
        (self.reread, self.cgroups_read) = (0, 0);
        self.threads_of_user.clear();
        for (user, threads) in users {
            *self.threads_of_user.entry(user).or_default() += threads;
        }
        let is_wanted = |asked_ns: u64| now_ns.saturating_sub(asked_ns) < FORGET_NS;
        self.processes.retain(|_, known| is_wanted(known.asked_ns));
        self.cgroups.retain(|_, cgroup| is_wanted(cgroup.asked_ns));
    }

    fn settings(&mut self) -> Settings {
        match self.settings {
            Some((read_ns, settings)) if self.now_ns.saturating_sub(read_ns) < KEEP_NS => settings,
            _ => {
                let setting = |name: &str| text(format!("/proc/sys/{name}"))?.trim().parse().ok();
                let settings = Settings {
                    nr_open: setting("fs/nr_open"),
                    threads_max: setting("kernel/threads-max"),
                    pid_max: setting("kernel/pid_max"),
                    max_map_count: setting("vm/max_map_count"),
                };
                self.settings = Some((self.now_ns, settings));
                settings
            }
        }
    }

    fn usage(&mut self) -> Usage {
        *self.usage.get_or_insert_with(|| Usage {
            files: text("/proc/sys/fs/file-nr").and_then(|text| host::file_nr(&text)),
            threads: text("/proc/loadavg").and_then(|text| host::threads(&text)),
            memory: text("/proc/meminfo").and_then(|text| host::memory(&text)),
        })
    }

    /// What binds this process alone, or its user.
    fn own(&mut self, process: &LimitSubject, settings: &Settings) -> Vec<LimitUse> {
        let (now_ns, pid) = (self.now_ns, process.id.pid);
        let is_known = self.processes.get(&process.id).is_some_and(|known| {
            let is_fresh =
                known.cgroup_id == process.cgroup_id && now_ns.saturating_sub(known.read_ns) < KEEP_NS;
            is_fresh || self.reread >= MAX_REREAD
        });
        if !is_known {
            self.reread += usize::from(self.processes.contains_key(&process.id));
            let mounts = self.mounts();
            let known = Known {
                read_ns: now_ns,
                asked_ns: now_ns,
                cgroup_id: process.cgroup_id,
                rlimits: rlimits::parse(&text(format!("/proc/{pid}/limits")).unwrap_or_default()),
                counted_user: counted_user(pid),
                cgroups: cgroup_paths::of_process(
                    &text(format!("/proc/{pid}/cgroup")).unwrap_or_default(),
                    mounts,
                ),
            };
            self.processes.insert(process.id, known);
        }
        let Some(known) = self.processes.get_mut(&process.id) else {
            return Vec::new();
        };
        known.asked_ns = now_ns;
        let users_threads = known
            .counted_user
            .and_then(|user| Some((known.rlimits.nproc?, *self.threads_of_user.get(&user)?)));
        let data = known
            .rlimits
            .data
            .and_then(|limit| Some((limit, data_bytes(pid)?)));
        let limits = [
            (
                Resource::Fd,
                &NOFILE,
                known.rlimits.nofile.map(|limit| (limit, process.fds)),
            ),
            (
                Resource::Fd,
                &NR_OPEN,
                settings.nr_open.map(|limit| (limit, process.fds)),
            ),
            (Resource::Thread, &NPROC, users_threads),
            (
                Resource::Memory,
                &ADDRESS_SPACE,
                known
                    .rlimits
                    .address_space
                    .map(|limit| (limit, process.total_vm_bytes)),
            ),
            (Resource::Memory, &DATA, data),
            (
                Resource::Maps,
                &MAX_MAP_COUNT,
                settings.max_map_count.map(|limit| (limit, process.maps)),
            ),
        ];
        let limits = limits.into_iter().filter_map(|(resource, name, found)| {
            let (value, in_use) = found?;
            let limit = Limit {
                name: Arc::clone(name),
                value,
                in_use,
            };
            Some(LimitUse { resource, limit })
        });
        limits.collect()
    }

    /// The limits of one cgroup, read at most once a tick.
    fn of_cgroup(&mut self, cgroup: &Cgroup) -> &[LimitUse] {
        let swap_total = self.usage().memory.map_or(0, |memory| memory.swap_total);
        let (now_ns, tick) = (self.now_ns, self.tick);
        let known = self.cgroups.get(&cgroup.directory);
        let is_fresh = known.is_some_and(|known| known.tick == tick || self.cgroups_read >= MAX_CGROUPS);
        if !is_fresh {
            self.cgroups_read += usize::from(known.is_some());
            let limits = CgroupLimits {
                tick,
                asked_ns: now_ns,
                limits: cgroup::limits(cgroup, &Directory(&cgroup.directory), swap_total),
            };
            self.cgroups.insert(cgroup.directory.clone(), limits);
        }
        self.cgroups.get_mut(&cgroup.directory).map_or(&[], |known| {
            known.asked_ns = now_ns;
            &known.limits
        })
    }

    fn mounts(&mut self) -> &[Mount] {
        let is_fresh = |(read_ns, _): &(u64, Vec<Mount>)| self.now_ns.saturating_sub(*read_ns) < KEEP_NS;
        if !self.mounts.as_ref().is_some_and(is_fresh) {
            let mut mounts = read_mounts("self", "");
            // In a container that sees the processes of its host, process 1 has the host's mounts.
            mounts.extend(read_mounts("1", "/proc/1/root"));
            self.mounts = Some((self.now_ns, mounts));
        }
        self.mounts.as_ref().map_or(&[], |(_, mounts)| mounts)
    }
}

struct Directory<'a>(&'a Path);

impl Files for Directory<'_> {
    fn read(&self, name: &str) -> Option<String> {
        text(self.0.join(name))
    }
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn read_mounts(pid: &str, prefix: &str) -> Vec<Mount> {
    cgroup_paths::mounts(
        &fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default(),
        prefix,
    )
}

/// The real user of a process, where `RLIMIT_NPROC` binds it: not root, and neither capability in the first user namespace
/// (kernel/fork.c, `copy_process`).
fn counted_user(pid: u32) -> Option<u32> {
    let status = text(format!("/proc/{pid}/status"))?;
    let user = field(&status, "Uid")?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    let capabilities = u64::from_str_radix(field(&status, "CapEff")?, 16).ok()?;
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let is_exempt = user == 0
        || capabilities & SYS_ADMIN_OR_RESOURCE != 0 && namespace(&pid.to_string()) == namespace("self");
    (!is_exempt).then_some(user)
}

/// What counts against `RLIMIT_DATA`: private writable mappings, without the stack.
fn data_bytes(pid: u32) -> Option<u64> {
    let status = text(format!("/proc/{pid}/status"))?;
    let kibibytes: u64 = field(&status, "VmData")?
        .strip_suffix("kB")?
        .trim_end()
        .parse()
        .ok()?;
    Some(kibibytes * 1024)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// Names are made once: every process of a tick carries them.
type Name = LazyLock<Arc<str>>;
static NOFILE: Name = LazyLock::new(|| "RLIMIT_NOFILE".into());
static NR_OPEN: Name = LazyLock::new(|| "fs.nr_open".into());
static NPROC: Name = LazyLock::new(|| "RLIMIT_NPROC".into());
static ADDRESS_SPACE: Name = LazyLock::new(|| "RLIMIT_AS".into());
static DATA: Name = LazyLock::new(|| "RLIMIT_DATA".into());
static MAX_MAP_COUNT: Name = LazyLock::new(|| "vm.max_map_count".into());

#[cfg(test)]
mod tests;
