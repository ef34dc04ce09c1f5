//! Limits of the whole host, from the texts of `/proc`.

use std::sync::{Arc, LazyLock};

use crate::model::{
    finding::{Limit, Resource},
    snapshot::LimitUse,
};

/// Settings; they change when somebody changes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `fs.nr_open`: the most that `RLIMIT_NOFILE` can be.
    pub(super) nr_open: Option<u64>,
    /// `kernel.threads-max`.
    pub(super) threads_max: Option<u64>,
    /// `kernel.pid_max`; threads have a pid each.
    pub(super) pid_max: Option<u64>,
    /// `vm.max_map_count`, for each process.
    pub(super) max_map_count: Option<u64>,
}

/// What is in use on the host now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Open files and `fs.file-max`.
    pub(super) files: Option<(u64, u64)>,
    /// Threads, those of the kernel too.
    pub(super) threads: Option<u64>,
    pub(super) memory: Option<Memory>,
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) available: u64,
    pub(super) swap_total: u64,
    pub(super) swap_free: u64,
}

/// `fs.file-nr`: allocated, an unused 0, the most.
pub(super) fn file_nr(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let in_use = numbers.next()?.ok()?;
    Some((in_use, numbers.nth(1)?.ok()?))
}

/// `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`, of which 80 are the threads that there are.
pub(super) fn threads(loadavg: &str) -> Option<u64> {
    let (_, all) = loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let kibibytes = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: u64 = kibibytes.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(Memory {
        total: bytes("MemTotal")?,
        available: bytes("MemAvailable")?,
        swap_total: bytes("SwapTotal").unwrap_or(0),
        swap_free: bytes("SwapFree").unwrap_or(0),
    })
}

/// The limits that all processes share.
pub(super) fn limits(settings: &Settings, usage: &Usage) -> Vec<LimitUse> {
    let mut limits = Vec::with_capacity(4);
    if let Some((in_use, max)) = usage.files {
        limits.push(limit(Resource::Fd, &FILE_MAX, max, in_use));
    }
    if let Some(threads) = usage.threads {
        let max = |name, max| limit(Resource::Thread, name, max, threads);
        limits.extend(settings.threads_max.map(|value| max(&THREADS_MAX, value)));
        limits.extend(settings.pid_max.map(|value| max(&PID_MAX, value)));
    }
    if let Some(memory) = usage.memory {
        let value = memory.total + memory.swap_total;
        let free = memory.available + memory.swap_free;
        let name = if memory.swap_total == 0 {
            &MEMORY
        } else {
            &MEMORY_AND_SWAP
        };
        limits.push(limit(Resource::Memory, name, value, value.saturating_sub(free)));
    }
    limits
}

/// Names are made once: every process of a tick carries them.
type Name = LazyLock<Arc<str>>;
static FILE_MAX: Name = LazyLock::new(|| "fs.file-max".into());
static THREADS_MAX: Name = LazyLock::new(|| "kernel.threads-max".into());
static PID_MAX: Name = LazyLock::new(|| "kernel.pid_max".into());
/// `MemTotal`; in use is what is not `MemAvailable`.
static MEMORY: Name = LazyLock::new(|| "host memory".into());
static MEMORY_AND_SWAP: Name = LazyLock::new(|| "host memory and swap".into());

fn limit(resource: Resource, name: &Name, value: u64, in_use: u64) -> LimitUse {
    LimitUse {
        resource,
        limit: Limit {
            name: Arc::clone(name),
            value,
            in_use,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "\
MemTotal:       24684084 kB
MemFree:        17351156 kB
MemAvailable:   23084084 kB
Buffers:          112480 kB
SwapTotal:       1000000 kB
SwapFree:         900000 kB
HugePages_Total:       0
";

    #[test]
    fn texts_of_a_real_host() {
        assert_eq!(
            file_nr("1248\t0\t9223372036854775807\n"),
            Some((1248, 9_223_372_036_854_775_807))
        );
        assert_eq!(threads("1.89 2.22 1.71 2/93 17430\n"), Some(93));
        let memory = memory(MEMINFO).unwrap();
        assert_eq!(
            (memory.total, memory.swap_free),
            (24_684_084 << 10, 900_000 << 10)
        );
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let of = |memory| {
            let usage = Usage {
                memory: Some(memory),
                ..Usage::default()
            };
            let limit = limits(&Settings::default(), &usage).remove(0).limit;
            (limit.name.to_string(), limit.in_use, limit.value)
        };
        let memory = memory(MEMINFO).unwrap();
        assert_eq!(
            of(memory),
            (
                "host memory and swap".to_owned(),
                (1_600_000 + 100_000) << 10,
                (24_684_084 + 1_000_000) << 10
            )
        );
        let without_swap = Memory {
            swap_total: 0,
            swap_free: 0,
            ..memory
        };
        assert_eq!(
            of(without_swap),
            ("host memory".to_owned(), 1_600_000 << 10, 24_684_084 << 10)
        );
    }

    #[test]
    fn nonsense_is_not_a_limit() {
        for bad in ["", "x", "1 2", "1 2 x", "1 0"] {
            assert_eq!(file_nr(bad), None, "{bad}");
            assert_eq!(threads(bad), None, "{bad}");
            assert_eq!(memory(bad), None, "{bad}");
        }
        assert_eq!(
            memory("MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB"),
            None
        );
    }
}
