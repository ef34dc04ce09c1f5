//! Readings into the state of each process: what it holds, how that moved, where it was taken.
//!
//! Levels are the truth; sites and records add causes. Memory is bounded: per process by the windows and limits of the
//! submodules, in all by the number of processes and [`mappings::MAX_RANGES`].

pub mod first_touch;
pub mod lifetimes;
pub mod mappings;
pub mod window;

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use leakwatch_common::{
    counter::{Budget, Counter},
    kind::Kind,
    levels::{FileRow, TaskRow, VmaRow, flag},
};

use self::{
    first_touch::FirstTouch,
    lifetimes::Lifetimes,
    mappings::Mappings,
    window::{Amounts, Window},
};
use crate::{
    decode::{Reading, Record, Totals},
    model::identity::ProcessId,
    raw::{Moment, SiteReading},
};

/// Open descriptors by kind, indexed by [`Kind`].
pub type FdKinds = [u32; Kind::FD_COUNT];

/// One live process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Who it is.
    pub id: ProcessId,
    /// Levels as last read.
    pub row: TaskRow,
    /// Levels of the last minute.
    pub window: Window,
    /// Descriptors by kind, of the last tick in which they were read.
    pub fd_kinds: Option<FdKinds>,
    /// Mapped anonymous memory, bytes; kept until the next walk over mappings.
    pub mapped_anon_bytes: Option<u64>,
    /// Page faults by stack.
    pub first_touch: FirstTouch,
    /// Anonymous mappings whose birth was seen.
    pub mappings: Mappings,
    /// The pass that saw it last.
    pass: u64,
}

/// Lives of processes seen in the feed, short ones that no tick saw included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifecycle {
    /// Processes made.
    pub forked: u64,
    /// Programs started.
    pub execed: u64,
    /// Processes ended.
    pub exited: u64,
}

/// Everything known about the host.
#[derive(Debug, Default)]
pub struct Host {
    processes: BTreeMap<u32, Process>,
    sites: Vec<SiteReading>,
    /// Sites of processes or images that are gone, by index; freed when they are still here at the next tick.
    ended_sites: HashMap<u32, u64>,
    lifetimes: HashMap<u32, Lifetimes>,
    totals: Totals,
    lifecycle: Lifecycle,
    ranges: usize,
    /// Passes over all processes so far.
    pass: u64,
}

impl Host {
    /// Takes one reading into account. Readings of one tick come in the order in which they were made.
    pub fn apply(&mut self, moment: Moment, reading: Reading) {
        match reading {
            Reading::Tasks(rows) => self.tasks(moment, rows),
            Reading::Files(rows) => self.files(&rows),
            Reading::Vmas(rows) => self.vmas(&rows),
            Reading::Sites(sites) => self.sites = sites,
            Reading::Totals(totals) => self.totals(totals),
            Reading::Records(records) => {
                for record in records {
                    self.record(record);
                }
            }
        }
    }

    /// Live processes, in ascending order of pid.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// Sites of living and of lately ended processes.
    pub fn sites(&self) -> &[SiteReading] {
        &self.sites
    }

    /// Sampled lifetimes of what was given back at the site with this index.
    pub fn lifetimes(&self, site: u32) -> Option<&Lifetimes> {
        self.lifetimes.get(&site)
    }

    /// What the kernel side lost, shed or skipped.
    pub fn kernel_totals(&self) -> &Totals {
        &self.totals
    }

    /// Lives of processes.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// Stacks that a site or a page fault sample of a living process refers to.
    pub fn stacks(&self) -> HashSet<i32> {
        let sites = self.sites.iter().map(|site| site.counts.key.stack);
        let samples = self
            .processes
            .values()
            .flat_map(|process| process.first_touch.samples());
        sites.chain(samples.map(|&(stack, _)| stack)).collect()
    }

    /// Indices of sites that can be freed: their process or its program image was gone at this tick and at the one before.
    pub fn ended_sites(&mut self) -> Vec<u32> {
        let ended: HashMap<u32, u64> = self
            .sites
            .iter()
            .filter(|site| site.counts.key.tgid != 0 && !self.is_live(site))
            .map(|site| (site.index, site.counts.created_ns))
            .collect();
        let twice = ended
            .iter()
            .filter(|(index, created)| self.ended_sites.get(index) == Some(created));
        let freed: Vec<u32> = twice.map(|(&index, _)| index).collect();
        for index in &freed {
            self.lifetimes.remove(index);
        }
        self.ended_sites = ended;
        freed
    }

    fn is_live(&self, site: &SiteReading) -> bool {
        let key = site.counts.key;
        self.processes.get(&key.tgid).is_some_and(|process| {
            process.id.start_time_ns == key.start_boottime_ns && process.row.exec_id == key.exec_id
        })
    }

    fn tasks(&mut self, moment: Moment, rows: Vec<TaskRow>) {
        self.pass += 1;
        for row in rows {
            let id = ProcessId {
                pid: row.tgid,
                start_time_ns: row.start_boottime_ns,
            };
            let process = self
                .processes
                .entry(row.tgid)
                .or_insert_with(|| Process::new(id, row));
            if process.id != id {
                *process = Process::new(id, row);
            }
            // Rows of a process without its leader repeat; any of them will do.
            if process.pass != self.pass {
                process.pass = self.pass;
                process.update(moment, row);
            }
        }
        self.processes.retain(|_, process| process.pass == self.pass);
        self.ranges = self
            .processes
            .values()
            .map(|process| process.mappings.len())
            .sum();
    }

    fn files(&mut self, rows: &[FileRow]) {
        for process in self.processes.values_mut() {
            process.fd_kinds = Some([0; Kind::FD_COUNT]);
        }
        let mut once = Once::default();
        for row in rows
            .iter()
            .filter(|row| once.is_first(row.tgid, u64::from(row.fd)))
        {
            let Some(kinds) = self
                .processes
                .get_mut(&row.tgid)
                .and_then(|process| process.fd_kinds.as_mut())
            else {
                continue;
            };
            let kind = Kind::try_from(row.kind).unwrap_or(Kind::Other);
            if let Some(count) = kinds.get_mut(kind as usize) {
                *count += 1;
            }
        }
    }

    fn vmas(&mut self, rows: &[VmaRow]) {
        let mut totals: HashMap<u32, u64> = HashMap::with_capacity(self.processes.len());
        let mut once = Once::default();
        for row in rows.iter().filter(|row| once.is_first(row.tgid, row.start)) {
            *totals.entry(row.tgid).or_default() += row.len;
        }
        // Who is not in a walk has no memory any more, or has just come.
        for process in self.processes.values_mut() {
            process.mapped_anon_bytes = totals.get(&process.id.pid).copied();
        }
    }

    fn totals(&mut self, totals: Totals) {
        let lost = |totals: &Totals| totals.shed(Budget::Mappings) + totals.counter(Counter::FeedDropped);
        // With a record missing no ledger of mappings can be trusted; the level stays right.
        if lost(&totals) > lost(&self.totals) {
            for process in self.processes.values_mut() {
                process.mappings.forget();
            }
            self.ranges = 0;
        }
        self.totals = totals;
    }

    fn record(&mut self, record: Record) {
        match record {
            Record::ProcessForked(_) => self.lifecycle.forked += 1,
            Record::ProcessExeced(execed) => {
                self.lifecycle.execed += 1;
                if let Some(process) = self.processes.get_mut(&execed.header.tgid) {
                    process.mappings.forget();
                    process.first_touch = FirstTouch::default();
                }
            }
            Record::ProcessExited(_) => self.lifecycle.exited += 1,
            Record::ThreadEnded(ended) => {
                self.lifetime(ended.site, ended.header.time_ns.saturating_sub(ended.birth_ns));
            }
            Record::FdClosed(closed) => {
                self.lifetime(closed.site, closed.header.time_ns.saturating_sub(closed.birth_ns));
            }
            Record::Faulted(faulted) => {
                if let Some(process) = self.processes.get_mut(&faulted.header.tgid) {
                    process.first_touch.add(faulted.stack);
                }
            }
            Record::Mapped(change) => self.mappings(change.header.tgid, |mappings| {
                mappings.map(change.addr, change.len, change.site);
            }),
            Record::Unmapped(change) => self.mappings(change.header.tgid, |mappings| {
                mappings.unmap(change.addr, change.len);
            }),
            Record::Remapped(change) => self.mappings(change.header.tgid, |mappings| {
                mappings.remap(
                    (change.old_addr, change.old_len),
                    (change.new_addr, change.new_len),
                    change.site,
                );
            }),
            // Neither changes which ranges are mapped by `mmap`.
            Record::BrkSet(_) | Record::Discarded(_) => {}
        }
    }

    fn lifetime(&mut self, site: u32, lifetime_ns: u64) {
        self.lifetimes.entry(site).or_default().add(lifetime_ns);
    }

    fn mappings(&mut self, tgid: u32, change: impl FnOnce(&mut Mappings)) {
        let Some(process) = self.processes.get_mut(&tgid) else {
            return;
        };
        let before = process.mappings.len();
        if before == 0 && self.ranges >= mappings::MAX_RANGES {
            return;
        }
        change(&mut process.mappings);
        self.ranges = self.ranges + process.mappings.len() - before;
    }
}

/// Rows of one process come in ascending order. When its leader has exited they come once for each thread.
#[derive(Default)]
struct Once {
    highest: HashMap<u32, u64>,
}

impl Once {
    fn is_first(&mut self, tgid: u32, key: u64) -> bool {
        match self.highest.entry(tgid) {
            Entry::Occupied(highest) if *highest.get() >= key => false,
            Entry::Occupied(mut highest) => {
                highest.insert(key);
                true
            }
            Entry::Vacant(highest) => {
                highest.insert(key);
                true
            }
        }
    }
}

impl Process {
    fn new(id: ProcessId, row: TaskRow) -> Self {
        Self {
            id,
            row,
            window: Window::default(),
            fd_kinds: None,
            mapped_anon_bytes: None,
            first_touch: FirstTouch::default(),
            mappings: Mappings::default(),
            pass: 0,
        }
    }

    fn update(&mut self, moment: Moment, row: TaskRow) {
        self.row = row;
        self.fd_kinds = None;
        self.window.push(moment.monotonic_ns, self.amounts());
    }

    /// Its levels, as far as their past is kept.
    pub fn amounts(&self) -> Amounts {
        Amounts {
            memory: self.row.rss_anon_bytes + self.row.swap_bytes,
            fds: u64::from(self.row.fds),
            threads: u64::from(self.row.threads),
        }
    }

    /// Whether it has exited and waits to be reaped.
    pub fn is_zombie(&self) -> bool {
        self.row.flags & flag::ZOMBIE != 0
    }
}
