//! What the probes and maps cost, and what the feed lost.

use std::{
    fs,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use aya::{
    Ebpf, Pod,
    maps::{MapData, MapInfo, PerCpuArray},
    programs::Program,
    sys::{Stats, enable_stats},
    util::nr_cpus,
};
use bytes::Bytes;
use leakwatch_common::counter::{Budget, Counter, Spent};
use log::debug;

use super::{error::KernelError, interpreters::Interpreters};
use crate::{
    model::health::{MapHealth, ProbeHealth},
    raw::{RawBatch, Source},
};

/// The kernel's run-time accounting costs tens of nanoseconds a run, so it is on for one part in thirty only.
const ACCOUNTING_ON: Duration = Duration::from_secs(1);
const ACCOUNTING_OFF: Duration = Duration::from_secs(29);
/// Sizes change slowly, and each is a file to read.
const SIZES_EVERY: Duration = Duration::from_secs(10);

/// What [`super::Kernel::observe_self`] found.
pub struct Observed {
    /// Every map.
    pub maps: Vec<MapHealth>,
    /// How far a resident-memory level may be off when it is not an exact sum, bytes.
    pub rss_error_bound_bytes: u64,
}

pub(super) struct Statistics {
    counters: PerCpuArray<MapData, u64>,
    budgets: PerCpuArray<MapData, Spent>,
    maps: Vec<OwnMap>,
    sizes_due: Instant,
    /// While this is open the kernel accounts for run times.
    accounting: Option<OwnedFd>,
    accounting_due: Instant,
    rss_error_bound_bytes: u64,
}

struct OwnMap {
    fd: u32,
    health: MapHealth,
}

impl Statistics {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let counters = per_cpu(ebpf, "COUNTERS")?;
        let budgets = per_cpu(ebpf, "BUDGETS")?;
        let now = Instant::now();
        // lib/percpu_counter.c: each CPU keeps back up to max(32, 2 x CPUs) pages.
        let cpus = nr_cpus().map_or(1, |cpus| cpus as u64);
        let rss_error_bound_bytes = cpus * (2 * cpus).max(32) * rustix::param::page_size() as u64;
        Ok(Self {
            counters,
            budgets,
            maps: own_maps(),
            sizes_due: now,
            accounting: None,
            accounting_due: now,
            rss_error_bound_bytes,
        })
    }

    /// Totals over all CPUs.
    pub(super) fn counters(&self) -> Result<RawBatch, KernelError> {
        let mut totals = Vec::with_capacity(Counter::COUNT + Budget::COUNT);
        for &counter in Counter::ALL {
            let values = self.counters.get(&(counter as u32), 0);
            let values = values.map_err(|source| KernelError::Map {
                map: "COUNTERS",
                source,
            })?;
            totals.push(values.iter().sum::<u64>());
        }
        for &budget in Budget::ALL {
            let values = self.budgets.get(&(budget as u32), 0);
            let values = values.map_err(|source| KernelError::Map {
                map: "BUDGETS",
                source,
            })?;
            totals.push(values.iter().map(|spent| spent.shed).sum());
        }
        Ok(RawBatch {
            source: Source::Counters,
            bytes: Bytes::from(bytemuck::cast_slice(&totals).to_vec()),
        })
    }

    pub(super) fn observe(
        &mut self,
        ebpf: &Ebpf,
        probes: &mut [ProbeHealth],
        sites: u32,
        interpreters: &Interpreters,
    ) -> Observed {
        let now = Instant::now();
        self.account(ebpf, probes, now);
        if now >= self.sizes_due {
            self.sizes_due = now + SIZES_EVERY;
            for map in &mut self.maps {
                map.health.bytes = memory_of(map.fd).unwrap_or(map.health.bytes);
            }
        }
        let maps = self.maps.iter().map(|map| {
            let (entries, full) = match map.health.name.as_str() {
                "SITES" => (Some(u64::from(sites)), map.health.full),
                Interpreters::MAP => {
                    let (entries, refused) = interpreters.used();
                    (Some(entries), refused)
                }
                _ => (None, map.health.full),
            };
            MapHealth {
                entries,
                full,
                ..map.health.clone()
            }
        });
        Observed {
            maps: maps.collect(),
            rss_error_bound_bytes: self.rss_error_bound_bytes,
        }
    }

    /// Switches the kernel's accounting on and off, and reads it at the end of each window.
    fn account(&mut self, ebpf: &Ebpf, probes: &mut [ProbeHealth], now: Instant) {
        if now < self.accounting_due {
            return;
        }
        if self.accounting.take().is_some() {
            self.accounting_due = now + ACCOUNTING_OFF;
            for probe in probes {
                if let Some((runs, time)) = ebpf.program(&probe.name).and_then(run_statistics) {
                    (probe.runs, probe.run_time_ns) = (runs, time);
                }
            }
            return;
        }
        match enable_stats(Stats::RunTime) {
            Ok(accounting) => {
                self.accounting = Some(accounting);
                self.accounting_due = now + ACCOUNTING_ON;
            }
            Err(error) => {
                debug!("no run-time statistics: {error}");
                self.accounting_due = now + ACCOUNTING_OFF;
            }
        }
    }
}

fn per_cpu<V: Pod>(ebpf: &mut Ebpf, map: &'static str) -> Result<PerCpuArray<MapData, V>, KernelError> {
    let taken = ebpf.take_map(map).ok_or(KernelError::NoMap(map))?;
    PerCpuArray::try_from(taken).map_err(|source| KernelError::Map { map, source })
}

fn run_statistics(program: &Program) -> Option<(u64, u64)> {
    let info = program.info().ok()?;
    Some((
        info.run_count(),
        u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
    ))
}

/// Every eBPF map this process has open: the kernel says which descriptor is which in `/proc/self/fdinfo`.
fn own_maps() -> Vec<OwnMap> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    let mut maps: Vec<OwnMap> = descriptors
        .filter_map(|entry| {
            let fd = entry.file_name().to_str()?.parse().ok()?;
            let info = fs::read_to_string(entry.path()).ok()?;
            let id = u32::try_from(field(&info, "map_id")?).ok()?;
            let name = MapInfo::from_id(id).ok()?.name_as_str()?.to_owned();
            Some(OwnMap {
                fd,
                health: MapHealth {
                    name,
                    max_entries: field(&info, "max_entries")?,
                    entries: None,
                    full: 0,
                    bytes: field(&info, "memlock")?,
                },
            })
        })
        .collect();
    maps.sort_by(|a, b| a.health.name.cmp(&b.health.name));
    maps
}

fn memory_of(fd: u32) -> Option<u64> {
    field(
        &fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?,
        "memlock",
    )
}

/// A number from a `name:\tvalue` line.
fn field(info: &str, name: &str) -> Option<u64> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}
