//! Where the cgroups of a process are, from `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
//!
//! Both name cgroups relative to the root of the reader's cgroup namespace. Seen from inside one, what lies outside begins
//! with `/..`, in both texts alike: a mount leads to a cgroup when its root is the beginning of the cgroup's path.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// More levels than this are not looked at: whoever may make cgroups may nest them without end.
const MAX_LEVELS: usize = 32;

/// What a hierarchy of cgroups limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hierarchy {
    /// Version 2: all controllers that version 1 does not have.
    Unified,
    /// `memory` of version 1.
    Memory1,
    /// `pids` of version 1.
    Pids1,
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) hierarchy: Hierarchy,
    /// The cgroup that is visible at `point`.
    root: String,
    point: PathBuf,
}

/// One cgroup of a process, or above one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cgroup {
    pub(super) hierarchy: Hierarchy,
    /// As the kernel names it.
    pub(super) name: String,
    /// Where its files are.
    pub(super) directory: PathBuf,
}

/// The mounts of cgroup hierarchies in a `mountinfo`, as found below `prefix`
/// (Documentation/filesystems/proc.rst, 3.5: `36 35 98:0 /root /point options - type source super_options`).
pub(super) fn mounts(mountinfo: &[u8], prefix: &str) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in mountinfo.split(|&byte| byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        // Any number of optional fields comes before it.
        let Some(dash) = (6..fields.len()).find(|&index| fields[index] == b"-") else {
            continue;
        };
        let (Some(root), Some(point), Some(&kind)) = (fields.get(3), fields.get(4), fields.get(dash + 1))
        else {
            continue;
        };
        let options = fields.get(dash + 3).copied().unwrap_or_default();
        let (Ok(root), point) = (String::from_utf8(unescaped(root)), unescaped(point)) else {
            continue;
        };
        let mut directory = OsString::from(prefix);
        directory.push(OsString::from_vec(point));
        let mut add = |hierarchy| {
            mounts.push(Mount {
                hierarchy,
                root: root.clone(),
                point: directory.clone().into(),
            });
        };
        match kind {
            b"cgroup2" => add(Hierarchy::Unified),
            b"cgroup" => {
                for option in options.split(|&byte| byte == b',') {
                    match option {
                        b"memory" => add(Hierarchy::Memory1),
                        b"pids" => add(Hierarchy::Pids1),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    mounts
}

/// Every cgroup that limits a process, by the lines of its `/proc/PID/cgroup`: its own and all above, as far as a mount
/// leads to them.
pub(super) fn of_process(cgroup: &str, mounts: &[Mount]) -> Vec<Cgroup> {
    let mut found = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }
        let hierarchies = controllers.split(',').filter_map(|controller| match controller {
            "" => Some(Hierarchy::Unified),
            "memory" => Some(Hierarchy::Memory1),
            "pids" => Some(Hierarchy::Pids1),
            _ => None,
        });
        for hierarchy in hierarchies {
            found.extend(levels(hierarchy, path, mounts));
        }
    }
    found
}

fn levels(hierarchy: Hierarchy, path: &str, mounts: &[Mount]) -> Vec<Cgroup> {
    let leading = mounts
        .iter()
        .rev()
        .filter(|mount| mount.hierarchy == hierarchy)
        .filter_map(|mount| Some((mount, below(path, &mount.root)?)));
    // The mount of the highest cgroup, because through it the most ancestors are seen; of several the first.
    let Some((mount, rest)) = leading.max_by_key(|(_, rest)| rest.len()) else {
        return Vec::new();
    };
    let mut name = mount.root.trim_end_matches('/').to_owned();
    let mut directory = mount.point.clone();
    let mut levels = vec![Cgroup {
        hierarchy,
        name: if name.is_empty() {
            "/".to_owned()
        } else {
            name.clone()
        },
        directory: directory.clone(),
    }];
    for part in rest.split('/').filter(|part| !part.is_empty()).take(MAX_LEVELS) {
        name.push('/');
        name.push_str(part);
        directory.push(part);
        levels.push(Cgroup {
            hierarchy,
            name: name.clone(),
            directory: directory.clone(),
        });
    }
    levels
}

/// What of `path` is below `root`; nothing when it lies elsewhere.
fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    let is_below = rest.is_empty() || rest.starts_with('/');
    (is_below && !rest.split('/').any(|part| part == "..")).then_some(rest)
}

/// Space, tab, line feed and backslash are written as three octal digits (fs/proc_namespace.c, `mangle`).
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:12 master:3 - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const UNIFIED: &[u8] = b"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

    fn shown(cgroups: &[Cgroup]) -> Vec<String> {
        cgroups
            .iter()
            .map(|cgroup| format!("{} at {}", cgroup.name, cgroup.directory.display()))
            .collect()
    }

    #[test]
    fn every_ancestor_of_a_service() {
        let cgroups = of_process("0::/system.slice/nginx.service\n", &mounts(UNIFIED, ""));
        assert_eq!(
            shown(&cgroups),
            [
                "/ at /sys/fs/cgroup",
                "/system.slice at /sys/fs/cgroup/system.slice",
                "/system.slice/nginx.service at /sys/fs/cgroup/system.slice/nginx.service",
            ]
        );
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let lines = "9:name=systemd:/\n8:pids:/\n4:memory:/process_api/9bd5\n1:cpu,cpuacct:/\n0::/\n";
        let mounts = mounts(HYBRID, "");
        assert_eq!(mounts.len(), 3);
        let cgroups = of_process(lines, &mounts);
        assert_eq!(
            shown(&cgroups),
            [
                "/ at /sys/fs/cgroup/pids",
                "/ at /sys/fs/cgroup/memory",
                "/process_api at /sys/fs/cgroup/memory/process_api",
                "/process_api/9bd5 at /sys/fs/cgroup/memory/process_api/9bd5",
                "/ at /sys/fs/cgroup/unified",
            ]
        );
    }

    #[test]
    fn inside_a_cgroup_namespace_the_mount_of_the_host_is_used() {
        // What a container with `hostPID` sees: its own mount, and that of the host through the root of process 1.
        let mut all = mounts(UNIFIED, "");
        all.extend(mounts(
            b"30 23 0:26 /../../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "/proc/1/root",
        ));
        let outside = of_process("0::/../../../system.slice/nginx.service\n", &all);
        assert_eq!(
            shown(&outside)[1..],
            [
                "/../../../system.slice at /proc/1/root/sys/fs/cgroup/system.slice",
                "/../../../system.slice/nginx.service at /proc/1/root/sys/fs/cgroup/system.slice/nginx.service",
            ]
        );
        let inside = of_process("0::/worker\n", &all);
        assert_eq!(shown(&inside)[1], "/worker at /sys/fs/cgroup/worker");
        assert_eq!(of_process("0::/../other\n", &mounts(UNIFIED, "")), []);
    }

    #[test]
    fn a_mount_of_a_part_leads_to_that_part_only() {
        let part = mounts(b"30 23 0:26 /a/b /mnt/with\\040space rw - cgroup2 none rw\n", "");
        let cgroups = of_process("0::/a/b/c\n", &part);
        assert_eq!(
            shown(&cgroups),
            ["/a/b at /mnt/with space", "/a/b/c at /mnt/with space/c"]
        );
        assert_eq!(of_process("0::/a/bc\n", &part), []);
    }

    #[test]
    fn nesting_without_end_and_nonsense() {
        let deep = format!("0::{}\n", "/x".repeat(1000));
        assert_eq!(of_process(&deep, &mounts(UNIFIED, "")).len(), MAX_LEVELS + 1);
        assert_eq!(of_process("nonsense\n0:\n::\n", &mounts(UNIFIED, "")), []);
        assert_eq!(mounts(b"- cgroup2\n1 2 3 - cgroup2 x\n", ""), []);
    }
}
