//! Puts one tick together: host state, verdicts and facts into the immutable [`Snapshot`].

mod findings;
mod shares;
mod sites;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use leakwatch_common::{
    counter::{Budget, Counter},
    kind::Kind,
    levels::{TaskRow, flag},
    site::SiteCounts,
};

use crate::{
    aggregate::{FdKinds, Host, Process, window::Amounts},
    attribute::{Attribution, Facts},
    detect::{Detection, SubjectKey},
    model::{
        census::Census,
        finding::{Finding, Resource, Verdict},
        health::{FeedHealth, Health, LifecycleHealth},
        identity::ProcessId,
        interest::Interest,
        sanitize,
        snapshot::{FrameRow, Growth, LimitUse, ProcessRow, SCHEMA_VERSION, Snapshot, State, Unattributed},
        stack::StackId,
    },
    raw::{Moment, SiteReading},
};

/// Gives stacks their names. Names are looked up beside the flow, so a frame may get its own a few ticks later.
pub trait Names {
    /// Frames of a stack, innermost first, and why they are not all.
    fn frames(&mut self, stack: StackId) -> (Vec<FrameRow>, Option<String>);
}

/// What a snapshot is made of.
pub struct Parts<'a> {
    /// When.
    pub moment: Moment,
    /// Host name.
    pub host_name: &'a str,
    /// What is held, and where it was taken.
    pub host: &'a Host,
    /// Verdicts.
    pub detection: &'a Detection,
    /// Who.
    pub attribution: &'a Attribution,
    /// What somebody looks at.
    pub interest: &'a Interest,
    /// Memory that one page fault sample stands for, bytes.
    pub fault_period_bytes: u64,
    /// Limits in force, as far as they were read.
    pub limits: &'a HashMap<ProcessId, Vec<LimitUse>>,
    /// Limits of the whole host.
    pub host_limits: &'a [LimitUse],
    /// What runtimes hold, as far as they were asked.
    pub censuses: &'a BTreeMap<ProcessId, Arc<Census>>,
    /// Findings of the tick before: all that is left of who has ended.
    pub before: &'a [Finding],
}

/// The snapshot of one tick. `health` holds what the kernel side and the agent know about themselves; what follows from the
/// readings is filled in here.
pub fn snapshot(parts: &Parts<'_>, facts: &mut dyn Facts, names: &mut dyn Names, health: Health) -> Snapshot {
    let mut sites: HashMap<u32, Vec<&SiteReading>> = HashMap::new();
    for site in parts.host.sites() {
        sites.entry(site.counts.key.tgid).or_default().push(site);
    }
    let of = |pid: u32| sites.get(&pid).map_or(&[][..], Vec::as_slice);
    let processes = parts.host.processes();
    let processes: Vec<ProcessRow> = processes
        .map(|process| row(parts, facts, names, process, of(process.id.pid)))
        .collect();
    Snapshot {
        findings: findings::findings(parts, names, &processes, &of),
        host_limits: parts.host_limits.to_vec(),
        processes,
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        host: parts.host_name.to_owned(),
        time_unix_ms: parts.moment.unix_ms,
        uptime_ns: parts.moment.boottime_ns,
        health: self::health(parts.host, health),
    }
}

fn row(
    parts: &Parts<'_>,
    facts: &mut dyn Facts,
    names: &mut dyn Names,
    process: &Process,
    sites: &[&SiteReading],
) -> ProcessRow {
    let levels = &process.row;
    let known = parts.attribution.of(&process.id);
    let wanted = parts.interest.wants_fd_kinds(process.id.pid);
    let sites = of_image(process, sites);
    ProcessRow {
        id: process.id,
        parent_pid: levels.parent_tgid,
        name: name(&levels.comm),
        user: facts.user(levels.euid),
        exe: known.exe,
        cmdline: known.cmdline,
        runtime: known.runtime,
        runtime_version: known.runtime_version,
        allocator: known.allocator,
        container_id: known.container_id,
        unit: known.unit,
        threads: levels.threads,
        fds: levels.fds,
        fd_limit: (levels.nofile_soft != u64::MAX).then_some(levels.nofile_soft),
        fd_kinds: process.fd_kinds.filter(|_| wanted).map(|kinds| by_name(&kinds)),
        rss_anon_bytes: levels.rss_anon_bytes,
        rss_file_bytes: levels.rss_file_bytes,
        rss_shmem_bytes: levels.rss_shmem_bytes,
        swap_bytes: levels.swap_bytes,
        mapped_anon_bytes: process.mapped_anon_bytes,
        maps: levels.map_count,
        census: parts.censuses.get(&process.id).cloned(),
        growth: Growth {
            memory_bytes_per_second: process.window.slope(Amounts::memory),
            fds_per_second: process.window.slope(Amounts::fds),
            threads_per_second: process.window.slope(Amounts::threads),
        },
        unattributed: unattributed(levels, &sites),
        state: if process.is_zombie() {
            State::Zombie
        } else {
            state(parts.detection.verdict(&SubjectKey::Process(process.id)))
        },
        sites: if wanted {
            sites::rows(parts, facts, names, process, &sites)
        } else {
            Vec::new()
        },
        limits: tightest(parts.limits.get(&process.id).map_or(&[], Vec::as_slice), wanted),
    }
}

fn state(verdict: Option<Verdict>) -> State {
    match verdict {
        None => State::Observing,
        Some(Verdict::Healthy | Verdict::Ended) => State::Healthy,
        Some(Verdict::Recovered) => State::Recovered,
        Some(Verdict::Growing) => State::Growing,
        Some(Verdict::Suspected) => State::Suspected,
        Some(Verdict::Leaking) => State::Leaking,
    }
}

/// The sites of the program image that a process runs now.
fn of_image<'a>(process: &Process, sites: &[&'a SiteReading]) -> Vec<&'a SiteReading> {
    let of_image = |site: &&&SiteReading| {
        let key = site.counts.key;
        key.start_boottime_ns == process.id.start_time_ns && key.exec_id == process.row.exec_id
    };
    sites.iter().filter(of_image).copied().collect()
}

/// The tightest limit of each resource that is at least half used, or that somebody asks for.
fn tightest(limits: &[LimitUse], all: bool) -> Vec<LimitUse> {
    let used = |limit: &&LimitUse| limit.limit.in_use as f64 / limit.limit.value.max(1) as f64;
    let tightest = |resource| {
        let of = limits.iter().filter(|limit| limit.resource == resource);
        of.max_by(|a, b| used(a).total_cmp(&used(b)))
    };
    let tightest = Resource::ALL.into_iter().filter_map(tightest);
    tightest
        .filter(|limit| all || used(limit) >= 0.5)
        .cloned()
        .collect()
}

fn name(comm: &[u8]) -> String {
    sanitize::text(comm.split(|&byte| byte == 0).next().unwrap_or_default())
}

/// Every kind that a descriptor can be; `duplicate` is how one is born, never what it is.
fn by_name(kinds: &FdKinds) -> BTreeMap<String, u32> {
    let named = Kind::ALL
        .iter()
        .zip(kinds)
        .filter(|(kind, _)| **kind != Kind::Duplicate);
    named
        .map(|(kind, &count)| (kind.name().to_owned(), count))
        .collect()
}

fn live(counts: &SiteCounts) -> u64 {
    counts.born.saturating_sub(counts.died)
}

/// Sites and levels are read one after the other: while a process is busy the difference may be a moment off, never negative.
fn unattributed(levels: &TaskRow, sites: &[&SiteReading]) -> Unattributed {
    let live_of = |is: fn(Kind) -> bool| {
        let sites = sites
            .iter()
            .filter(|site| Kind::try_from(site.counts.key.kind).is_ok_and(is));
        u32::try_from(sites.map(|site| live(&site.counts)).sum::<u64>()).unwrap_or(u32::MAX)
    };
    Unattributed {
        fds: levels.fds.saturating_sub(live_of(Kind::is_fd)),
        threads: levels
            .threads
            .saturating_sub(1)
            .saturating_sub(live_of(|kind| kind == Kind::Thread)),
    }
}

fn health(host: &Host, mut health: Health) -> Health {
    let totals = host.kernel_totals();
    health.feed = FeedHealth {
        records: totals.counter(Counter::FeedRecords),
        dropped: totals.counter(Counter::FeedDropped),
        deaths_dropped: totals.counter(Counter::DeathsDropped),
        shed: totals.shed(Budget::Mappings),
        undecodable: health.feed.undecodable,
        stacks_taken: totals.counter(Counter::StacksTaken),
        stacks_shed: host.stacks_shed(),
        stacks_dropped: totals.counter(Counter::StacksDropped),
        stacks_failed: totals.counter(Counter::StacksFailed),
        compat_skipped: totals.counter(Counter::CompatSkipped),
        read_faults: totals.counter(Counter::ReadFaults),
        late_closes: totals.counter(Counter::LateCloses),
        unknown_closes: totals.counter(Counter::UnknownCloses),
        high_fds: totals.counter(Counter::HighFds),
    };
    let lifecycle = host.lifecycle();
    health.lifecycle = LifecycleHealth {
        forked: lifecycle.forked,
        execed: lifecycle.execed,
        exited: lifecycle.exited,
    };
    for map in &mut health.maps {
        map.full = match map.name.as_str() {
            "SITES" => totals.counter(Counter::SitesFull),
            "FD_PAGES" => totals.counter(Counter::FdPagesFull),
            "THREADS" => totals.counter(Counter::ThreadsFull),
            "PROCESSES" => totals.counter(Counter::ProcessesFull),
            "FEED" => totals.counter(Counter::FeedDropped),
            _ => map.full,
        };
    }
    let approximate = |process: &Process| process.row.flags & flag::RSS_EXACT == 0 && !process.is_zombie();
    if !host.processes().any(approximate) {
        health.levels.rss_error_bound_bytes = 0;
    }
    let truncated = host
        .processes()
        .filter(|process| process.row.flags & flag::FDS_TRUNCATED != 0);
    health.levels.fds_truncated = u32::try_from(truncated.count()).unwrap_or(u32::MAX);
    health
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_their_nul_and_are_safe() {
        assert_eq!(name(b"bash\0\0\0\0"), "bash");
        assert_eq!(name(b"\x1b[2J\0"), "\u{fffd}[2J");
        assert_eq!(name(b"sixteen-bytes-xx"), "sixteen-bytes-xx");
    }
}
