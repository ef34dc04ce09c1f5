//! Against this kernel: this process, children with limits of their own, and cgroups that are made for it.

use std::{
    fs, io, iter,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource as Rlimit, setrlimit};

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn subject(pid: u32) -> LimitSubject {
    LimitSubject {
        id: ProcessId {
            pid,
            start_time_ns: 7,
        },
        uid: 0,
        cgroup_id: 1,
        fds: 12,
        threads: 1,
        maps: 34,
        total_vm_bytes: 56,
    }
}

fn named(limits: &[LimitUse], name: &str) -> Option<(u64, u64)> {
    let limit = limits.iter().find(|limit| &*limit.limit.name == name)?;
    Some((limit.limit.value, limit.limit.in_use))
}

/// Ends when dropped.
struct Asleep(Child);

impl Asleep {
    /// A process that sleeps, after `prepare` ran in it.
    fn start(prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Self {
        let mut command = Command::new("sleep");
        command.arg("60");
        // SAFETY: what is given here makes system calls and nothing else.
        unsafe { command.pre_exec(prepare) };
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn limits_of_this_process_and_of_the_host() {
    let mut limits = HostLimits::default();
    limits.begin_tick(0, iter::empty());
    let own = limits.of_process(&subject(std::process::id()));
    let soft = rustix::process::getrlimit(Rlimit::Nofile).current.unwrap();
    assert_eq!(named(&own, "RLIMIT_NOFILE"), Some((soft, 12)));
    let max_map_count: u64 = fs::read_to_string("/proc/sys/vm/max_map_count")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(named(&own, "vm.max_map_count"), Some((max_map_count, 34)));
    let host = limits.of_host();
    let memory = host
        .iter()
        .find(|limit| limit.limit.name.starts_with("host memory"));
    for name in [
        "fs.file-max",
        "kernel.threads-max",
        "kernel.pid_max",
        &memory.unwrap().limit.name,
    ] {
        let (value, in_use) = named(&host, name).unwrap();
        assert!(0 < in_use && in_use < value, "{name}: {in_use} of {value}");
        assert_eq!(named(&own, name), Some((value, in_use)));
    }
}

#[test]
fn limits_of_a_child_and_of_its_user() {
    let child = Asleep::start(|| {
        for (limit, value) in [
            (Rlimit::Nofile, 77),
            (Rlimit::Nproc, 500),
            (Rlimit::As, 1 << 30),
            (Rlimit::Data, 1 << 29),
        ] {
            let mut old = rustix::process::getrlimit(limit);
            old.current = Some(value);
            setrlimit(limit, old)?;
        }
        Ok(())
    });
    let mut limits = HostLimits::default();
    limits.begin_tick(0, [(0, 3), (65_534, 4), (65_534, 5)].into_iter());
    let before = limits.of_process(&subject(child.pid()));
    assert_eq!(named(&before, "RLIMIT_NOFILE"), Some((77, 12)));
    assert_eq!(named(&before, "RLIMIT_AS"), Some((1 << 30, 56)));
    let (data_max, data) = named(&before, "RLIMIT_DATA").unwrap();
    assert!(data_max == 1 << 29 && data > 0 && data % 1024 == 0, "{data}");
    let own_user = rustix::process::getuid().as_raw();
    let expected = (own_user == 65_534).then_some((500, 9));
    assert_eq!(
        named(&before, "RLIMIT_NPROC"),
        expected,
        "root is not bound by it"
    );
}

#[test]
fn threads_of_a_user_count_together() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: cannot become somebody else");
        return;
    }
    let mut command = Command::new("sleep");
    let child = command.arg("60").uid(65_534).gid(65_534).spawn().unwrap();
    let child = Asleep(child);
    let mut limits = HostLimits::default();
    limits.begin_tick(0, [(0, 3), (65_534, 4), (65_534, 5)].into_iter());
    let nproc = rustix::process::getrlimit(Rlimit::Nproc).current;
    let found = named(&limits.of_process(&subject(child.pid())), "RLIMIT_NPROC");
    assert_eq!(found, nproc.map(|nproc| (nproc, 9)));
}

#[test]
fn a_process_is_read_again_after_a_minute_or_in_another_cgroup() {
    let child = Asleep::start(|| Ok(()));
    let pid = child.pid();
    let mut limits = HostLimits::default();
    let mut nofile = |now_s: u64, cgroup_id| {
        limits.begin_tick(now_s * SECOND_NS, iter::empty());
        let subject = LimitSubject {
            cgroup_id,
            ..subject(pid)
        };
        named(&limits.of_process(&subject), "RLIMIT_NOFILE").unwrap().0
    };
    let before = nofile(0, 1);
    let lower = before - 1;
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={lower}:")])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(nofile(59, 1), before);
    assert_eq!(nofile(60, 1), lower);
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={}:", lower - 1)])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(nofile(61, 1), lower);
    assert_eq!(nofile(62, 2), lower - 1);
}

#[test]
fn what_is_not_asked_for_is_forgotten() {
    let mut limits = HostLimits::default();
    limits.begin_tick(0, iter::empty());
    limits.of_process(&subject(std::process::id()));
    assert_eq!(limits.processes.len(), 1);
    limits.begin_tick(FORGET_NS, iter::empty());
    assert_eq!((limits.processes.len(), limits.cgroups.len()), (0, 0));
    let gone = limits.of_process(&subject(u32::MAX));
    assert_eq!(named(&gone, "RLIMIT_NOFILE"), None);
}

/// A cgroup and one in it; removed when dropped.
struct Nested {
    outer: PathBuf,
}

impl Nested {
    /// `None` where this process may not make any.
    fn make(hierarchy: cgroup_paths::Hierarchy, needs: &str) -> Option<Self> {
        let mounts = read_mounts("self", "");
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = cgroup_paths::of_process(&own, &mounts);
        let root = own.iter().find(|cgroup| cgroup.hierarchy == hierarchy)?;
        let outer = root
            .directory
            .join(format!("leakwatch-test-{}", std::process::id()));
        let made = fs::create_dir(&outer).and_then(|()| fs::create_dir(outer.join("inner")));
        let nested = Self { outer };
        if made.is_err() || !nested.inner().join(needs).exists() {
            // Version 2 shows a controller only where every level above hands it on.
            let _ = fs::write(nested.outer.join("cgroup.subtree_control"), "+pids +memory");
        }
        nested.inner().join(needs).exists().then_some(nested)
    }

    fn inner(&self) -> PathBuf {
        self.outer.join("inner")
    }

    fn write(&self, file: &str, outer: &str, inner: &str) {
        fs::write(self.outer.join(file), outer).unwrap();
        fs::write(self.inner().join(file), inner).unwrap();
    }

    fn take_in(&self, pid: u32) {
        fs::write(self.inner().join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // What was in it may need a moment to be gone.
        for _ in 0..50 {
            let _ = fs::remove_dir(self.inner());
            if fs::remove_dir(&self.outer).is_ok() || !self.outer.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn check_nested(
    hierarchy: cgroup_paths::Hierarchy,
    resource: Resource,
    file: &str,
    [outer, inner]: [u64; 2],
) {
    let Some(nested) = Nested::make(hierarchy, file) else {
        eprintln!("no {file} here, or cgroups cannot be made");
        return;
    };
    nested.write(file, &outer.to_string(), &inner.to_string());
    let child = Asleep::start(|| Ok(()));
    nested.take_in(child.pid());
    let mut limits = HostLimits::default();
    limits.begin_tick(0, iter::empty());
    let found = limits.of_process(&subject(child.pid()));
    let name = |cgroup: &Path| {
        let tail = cgroup.components().rev().take_while(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.starts_with("leakwatch-test") || part == "inner"
        });
        let tail: PathBuf = tail.collect::<Vec<_>>().into_iter().rev().collect();
        format!("/{}", tail.display())
    };
    let of = |cgroup: &Path| {
        let end = name(cgroup);
        let is_it =
            |limit: &&LimitUse| limit.limit.name.starts_with(file) && limit.limit.name.ends_with(&end);
        found
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{file} of {end} in {found:#?}"))
    };
    let (above, own) = (of(&nested.outer), of(&nested.inner()));
    assert_eq!((above.limit.value, own.limit.value), (outer, inner));
    assert_eq!(above.resource, resource);
    assert!(above.limit.in_use >= own.limit.in_use && above.limit.in_use < outer);
    if resource == Resource::Thread {
        assert_eq!(own.limit.in_use, 1);
    }
    let place = |limit: &LimitUse| found.iter().position(|other| other == limit).unwrap();
    assert!(
        place(above) < place(own),
        "the tighter one above comes first: {found:#?}"
    );
    let tightest = found.iter().find(|limit| limit.resource == resource);
    assert_eq!(tightest, Some(above));
    drop(child);
}

// One test: the hierarchies of a host share the names of cgroups.
#[test]
fn the_tighter_cgroup_above_comes_first() {
    use cgroup_paths::Hierarchy::{Memory1, Pids1, Unified};
    const MIB: u64 = 1 << 20;
    check_nested(Pids1, Resource::Thread, "pids.max", [20, 30]);
    check_nested(
        Memory1,
        Resource::Memory,
        "memory.limit_in_bytes",
        [64 * MIB, 96 * MIB],
    );
    check_nested(Unified, Resource::Thread, "pids.max", [20, 30]);
    check_nested(Unified, Resource::Memory, "memory.max", [64 * MIB, 96 * MIB]);
}

/// What a health table of a large host costs. Run by hand: `cargo test -p leakwatch --lib -- --ignored --nocapture cost_of`.
#[test]
#[ignore = "measures; needs 3,000 processes for a moment"]
fn cost_of_a_health_table_of_three_thousand_processes() {
    let children: Vec<Asleep> = (0..3000).map(|_| Asleep::start(|| Ok(()))).collect();
    let mut limits = HostLimits::default();
    for tick in 0..3_u64 {
        limits.begin_tick(tick * SECOND_NS, iter::repeat_n((0, 1), 3000));
        let started = Instant::now();
        let found: usize = children
            .iter()
            .map(|child| limits.of_process(&subject(child.pid())).len())
            .sum();
        eprintln!("tick {tick}: {found} limits in {:?}", started.elapsed());
        assert!(found >= 3000 * 5);
    }
}
