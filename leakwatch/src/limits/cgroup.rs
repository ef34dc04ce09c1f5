//! What the files of one cgroup say.

use std::sync::Arc;

use super::cgroup_paths::{Cgroup, Hierarchy};
use crate::model::{
    finding::{Limit, Resource},
    sanitize,
    snapshot::LimitUse,
};

/// Version 1 writes "no limit" as the largest multiple of a page that fits in 63 bits (mm/page_counter.c); pages have 4 to
/// 64 KiB.
const UNLIMITED_1: u64 = (i64::MAX as u64) & !0xffff;

/// Reads a file of a cgroup by its name; nothing when it is not there.
pub(super) trait Files {
    fn read(&self, name: &str) -> Option<String>;
}

/// The limits that a cgroup sets, and what counts against them.
pub(super) fn limits(cgroup: &Cgroup, files: &impl Files, swap_total: u64) -> Vec<LimitUse> {
    let limits = match cgroup.hierarchy {
        Hierarchy::Unified => [pids(files), memory_max(files, swap_total), memory_high(files)],
        Hierarchy::Memory1 => [None, memory_1(files), memory_and_swap_1(files)],
        Hierarchy::Pids1 => [pids(files), None, None],
    };
    let of = sanitize::text(cgroup.name.as_bytes());
    let named = limits
        .into_iter()
        .flatten()
        .map(|(resource, name, value, in_use)| LimitUse {
            resource,
            limit: Limit {
                name: Arc::from(format!("{name} of {of}")),
                value,
                in_use,
            },
        });
    named.collect()
}

type Found = Option<(Resource, &'static str, u64, u64)>;

fn pids(files: &impl Files) -> Found {
    let max = number(files, "pids.max")?;
    Some((Resource::Thread, "pids.max", max, number(files, "pids.current")?))
}

/// A process may go on in swap when its memory is full, so what may be swapped out counts, as far as there is swap.
fn memory_max(files: &impl Files, swap_total: u64) -> Found {
    let max = number(files, "memory.max")?;
    let used = working_set(files, "memory.current", "inactive_file")?;
    match number(files, "memory.swap.max").map(|swap_max| swap_max.min(swap_total)) {
        Some(swap_max) if swap_max > 0 => {
            let swapped = number(files, "memory.swap.current").unwrap_or(0);
            let name = "memory.max and memory.swap.max";
            Some((
                Resource::Memory,
                name,
                max.saturating_add(swap_max),
                used + swapped,
            ))
        }
        _ => Some((Resource::Memory, "memory.max", max, used)),
    }
}

fn memory_high(files: &impl Files) -> Found {
    let high = number(files, "memory.high")?;
    let used = working_set(files, "memory.current", "inactive_file")?;
    Some((Resource::Memory, "memory.high", high, used))
}

fn memory_1(files: &impl Files) -> Found {
    let limit = number(files, "memory.limit_in_bytes")?;
    let used = working_set(files, "memory.usage_in_bytes", "total_inactive_file")?;
    Some((Resource::Memory, "memory.limit_in_bytes", limit, used))
}

fn memory_and_swap_1(files: &impl Files) -> Found {
    let limit = number(files, "memory.memsw.limit_in_bytes")?;
    let used = working_set(files, "memory.memsw.usage_in_bytes", "total_inactive_file")?;
    Some((Resource::Memory, "memory.memsw.limit_in_bytes", limit, used))
}

/// What is used without the file cache that the kernel takes back first: what kubelet counts as well.
fn working_set(files: &impl Files, usage: &str, reclaimable: &str) -> Option<u64> {
    let used = number(files, usage)?;
    let statistics = files.read("memory.stat").unwrap_or_default();
    let reclaimable = statistics.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == reclaimable).then(|| value.trim().parse::<u64>().ok())?
    });
    Some(used.saturating_sub(reclaimable.unwrap_or(0)))
}

/// `max` and the like are no limit.
fn number(files: &impl Files, name: &str) -> Option<u64> {
    let number = files.read(name)?.trim().parse().ok()?;
    (number < UNLIMITED_1).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorded(&'static [(&'static str, &'static str)]);

    impl Files for Recorded {
        fn read(&self, name: &str) -> Option<String> {
            let (_, text) = self.0.iter().find(|(file, _)| *file == name)?;
            Some((*text).to_owned())
        }
    }

    fn limits_of(
        hierarchy: Hierarchy,
        files: &'static [(&'static str, &'static str)],
        swap: u64,
    ) -> Vec<(String, u64, u64)> {
        let cgroup = Cgroup {
            hierarchy,
            name: "/a\x1b".to_owned(),
            directory: "/".into(),
        };
        limits(&cgroup, &Recorded(files), swap)
            .into_iter()
            .map(|found| {
                (
                    found.limit.name.to_string(),
                    found.limit.value,
                    found.limit.in_use,
                )
            })
            .collect()
    }

    const SERVICE: &[(&str, &str)] = &[
        ("pids.max", "4915\n"),
        ("pids.current", "33\n"),
        ("memory.max", "1073741824\n"),
        ("memory.high", "max\n"),
        ("memory.current", "600000000\n"),
        ("memory.swap.max", "1000\n"),
        ("memory.swap.current", "10\n"),
        (
            "memory.stat",
            "anon 90000000\nfile 500000000\ninactive_anon 1\ninactive_file 400000000\nactive_file 100000000\n",
        ),
    ];

    #[test]
    fn version_2() {
        assert_eq!(
            limits_of(Hierarchy::Unified, SERVICE, 0),
            [
                ("pids.max of /a\u{fffd}".to_owned(), 4915, 33),
                ("memory.max of /a\u{fffd}".to_owned(), 1 << 30, 200_000_000),
            ]
        );
        let with_swap = &limits_of(Hierarchy::Unified, SERVICE, 1 << 40)[1];
        assert_eq!(with_swap.0, "memory.max and memory.swap.max of /a\u{fffd}");
        assert_eq!((with_swap.1, with_swap.2), ((1 << 30) + 1000, 200_000_010));
    }

    #[test]
    fn version_1() {
        let files = &[
            ("memory.limit_in_bytes", "536870912\n"),
            ("memory.usage_in_bytes", "1000000\n"),
            ("memory.memsw.limit_in_bytes", "9223372036854771712\n"),
            ("memory.memsw.usage_in_bytes", "1000000\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 300000\n"),
        ];
        let found = limits_of(Hierarchy::Memory1, files, 0);
        assert_eq!(
            found,
            [(
                "memory.limit_in_bytes of /a\u{fffd}".to_owned(),
                512 << 20,
                700_000
            )]
        );
        let pids = limits_of(
            Hierarchy::Pids1,
            &[("pids.max", "max\n"), ("pids.current", "3\n")],
            0,
        );
        assert_eq!(pids, []);
    }

    #[test]
    fn a_cgroup_that_is_gone_or_says_nonsense() {
        assert_eq!(limits_of(Hierarchy::Unified, &[], 0), []);
        assert_eq!(
            limits_of(Hierarchy::Unified, &[("pids.max", ""), ("memory.max", "-1")], 0),
            []
        );
    }
}
