//! Readings into the state of each process: what it holds, how that moved, where it was taken.
//!
//! Levels are the truth; sites and records add causes. Memory is bounded: per process by the windows and limits of the
//! submodules, in all by the number of processes and [`mappings::MAX_RANGES`].

pub mod cohorts;
pub mod first_touch;
pub mod lifetimes;
pub mod mappings;
mod process;
pub mod sites;
pub mod waiting;
pub mod window;

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use leakwatch_common::{
    counter::Counter,
    kind::Kind,
    levels::{FileRow, TaskRow, ThreadRow, VmaRow},
    record::Header,
};

pub use self::process::Process;
use self::{mappings::Mappings, sites::Birth, waiting::Waiting};
use crate::{
    decode::{CopiedStack, Reading, Record, Totals},
    model::{identity::ProcessId, stack::StackId},
    raw::{Moment, SiteReading},
};

/// Open descriptors by kind, indexed by [`Kind`].
pub type FdKinds = [u32; Kind::FD_COUNT];

/// Turns stacks into interned ones. That reads binaries, so it is given to this stage from outside.
pub trait Unwind {
    /// The stack of a birth.
    fn copied(&mut self, stack: &CopiedStack) -> StackId;
    /// The stack at which a thread of this program image waits.
    fn waiting(&mut self, thread: &ThreadRow, process: ProcessId, exec_id: u32) -> StackId;
}

/// Pages of memory followed in all processes together; about 64 bytes each.
const MAX_PAGES: usize = 100_000;

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
    totals: Totals,
    /// Deaths were lost before the last reading.
    deaths_lost: bool,
    lifecycle: Lifecycle,
    /// Changes of address spaces that the kernel had counted at the last reading but one, by tgid, start and image.
    changes: HashMap<(u32, u64, u32), u64>,
    /// Mappings and pages followed in all processes.
    ranges: usize,
    pages: usize,
    /// Births that got no stack of their own, because it was not their turn.
    stacks_shed: u64,
    /// Passes over all processes so far.
    pass: u64,
}

impl Host {
    /// Takes one reading into account. Readings of one tick come in the order in which they were made.
    pub fn apply(&mut self, moment: Moment, reading: Reading, unwind: &mut dyn Unwind) {
        match reading {
            Reading::Tasks(rows) => self.tasks(moment, rows),
            Reading::Files(rows) => self.files(&rows),
            Reading::Vmas(rows) => self.vmas(&rows),
            Reading::Threads(rows) => self.threads(&rows, unwind),
            Reading::Stacks(stacks) => {
                for stack in &stacks {
                    self.birth(moment, stack, unwind);
                }
            }
            Reading::Sites(sites) => {
                self.audit_mappings();
                self.sites = sites;
            }
            Reading::Totals(totals) => self.totals(moment.monotonic_ns, totals),
            Reading::Records(records) => {
                for record in records {
                    self.record(moment.monotonic_ns, record);
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

    /// Sites of the program images that live processes run now.
    pub fn sites_by_process(&self) -> HashMap<ProcessId, Vec<SiteReading>> {
        let mut sites: HashMap<ProcessId, Vec<SiteReading>> = HashMap::new();
        for site in self.sites.iter().filter(|site| self.is_live(site)) {
            let id = ProcessId {
                pid: site.counts.key.tgid,
                start_time_ns: site.counts.key.start_boottime_ns,
            };
            sites.entry(id).or_default().push(*site);
        }
        sites
    }

    /// One live process.
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// Births whose stack was not taken because it was not their turn.
    pub fn stacks_shed(&self) -> u64 {
        self.stacks_shed
    }

    /// These pages of a process are not resident any more.
    pub fn not_resident(&mut self, pid: u32, pages: &[u64], now_ns: u64) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.first_touch.not_resident(pages, now_ns);
        }
    }

    /// What the kernel side lost, shed or skipped.
    pub fn kernel_totals(&self) -> &Totals {
        &self.totals
    }

    /// Whether deaths were lost since the reading before the last.
    pub fn deaths_lost(&self) -> bool {
        self.deaths_lost
    }

    /// Lives of processes.
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// Stacks that something in a living process refers to.
    pub fn stacks(&self) -> HashSet<StackId> {
        let of = |process: &Process| {
            let sites = process.sites.iter().map(|(_, stack, _)| stack);
            let touches = process.first_touch.samples().map(|(stack, ..)| stack);
            let waiting = process.waiting.iter().flat_map(Waiting::stacks);
            sites
                .chain(touches)
                .chain(waiting.map(|(stack, _)| stack))
                .collect::<Vec<_>>()
        };
        self.processes.values().flat_map(of).collect()
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
        let freed = twice.map(|(&index, _)| index).collect();
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
        self.pages = self
            .processes
            .values()
            .map(|process| process.first_touch.pages().len())
            .sum();
    }

    /// The kernel counts every change of an address space, sent or not. When fewer have come by now than it had counted two
    /// readings ago, some never will: the ledger of that process cannot be trusted then, and its level stays right.
    fn audit_mappings(&mut self) {
        for (image, counted) in std::mem::take(&mut self.changes) {
            if let Some(process) = self.processes.get_mut(&image.0)
                && process.is_image(image.1, image.2)
                && process.changes < counted
            {
                process.changes = counted;
                process.brk = process.row.brk;
                process.mappings.forget();
                process.sites.forget_mappings();
            }
        }
        for SiteReading { counts, .. } in &self.sites {
            let key = counts.key;
            if Kind::try_from(key.kind).is_ok_and(Kind::changes_address_space) {
                let image = (key.tgid, key.start_boottime_ns, key.exec_id);
                let changes = self.changes.entry(image).or_default();
                *changes = changes.saturating_add(counts.born);
            }
        }
    }

    fn birth(&mut self, moment: Moment, stack: &CopiedStack, unwind: &mut dyn Unwind) {
        let taken = &stack.taken;
        self.stacks_shed += u64::from(taken.weight.saturating_sub(1));
        let (Some(process), Ok(kind)) = (self.processes.get_mut(&taken.tgid), Kind::try_from(taken.kind))
        else {
            return;
        };
        if !process.is_image(taken.start_boottime_ns, taken.exec_id) {
            return;
        }
        let id = unwind.copied(stack);
        let now_ns = moment.monotonic_ns;
        if kind == Kind::FirstTouch {
            process.first_touch.touched(taken, id, now_ns);
            self.pages += 1;
            if self.pages > MAX_PAGES {
                process.first_touch.thin();
            }
            return;
        }
        process.sites.born(Birth {
            sample: taken.sample,
            kind,
            stack: id,
            weight: taken.weight.into(),
            item: taken.item,
            now_ns,
        });
    }

    fn threads(&mut self, rows: &[ThreadRow], unwind: &mut dyn Unwind) {
        let Some(process) = rows.first().and_then(|row| self.processes.get_mut(&row.tgid)) else {
            return;
        };
        let mut waiting = Waiting::default();
        for row in rows {
            waiting.add(unwind.waiting(row, process.id, process.row.exec_id), row.tid);
        }
        process.waiting = Some(waiting);
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
            let total = totals.entry(row.tgid).or_default();
            *total = total.saturating_add(row.len);
        }
        // Who is not in a walk has no memory any more, or has just come.
        for process in self.processes.values_mut() {
            process.mapped_anon_bytes = totals.get(&process.id.pid).copied();
        }
    }

    /// What lives of the samples is not known any more when a death is missing. No other lost record says so: processes are
    /// read and not told of, and changes of address spaces that did not come are found by [`Self::audit_mappings`].
    fn totals(&mut self, now_ns: u64, totals: Totals) {
        let dropped = |totals: &Totals| totals.counter(Counter::DeathsDropped);
        self.deaths_lost = dropped(&totals) > dropped(&self.totals);
        if self.deaths_lost {
            for process in self.processes.values_mut() {
                process.sites.forget_live(now_ns);
            }
        }
        self.totals = totals;
    }

    /// Records have times of a clock with an epoch of its own, so what is not measured between two of them is by `now_ns`.
    fn record(&mut self, now_ns: u64, record: Record) {
        match record {
            Record::ProcessForked(_) => self.lifecycle.forked += 1,
            Record::ProcessExeced(_) => self.lifecycle.execed += 1,
            Record::ProcessExited(_) => self.lifecycle.exited += 1,
            Record::ThreadEnded(ended) => {
                let lifetime_ns = ended.header.time_ns.saturating_sub(ended.birth_ns);
                self.died(ended.header.tgid, ended.sample, lifetime_ns);
            }
            Record::FdClosed(closed) => {
                let lifetime_ns = closed.header.time_ns.saturating_sub(closed.birth_ns);
                self.died(closed.header.tgid, closed.sample, lifetime_ns);
            }
            Record::Mapped(change) => {
                // What was touched in the same moment is in the new mapping.
                self.given_back(
                    now_ns,
                    change.header.tgid,
                    (change.addr, change.len),
                    change.header.time_ns,
                );
                self.took(change.header.tgid, change.sample, change.len);
                self.mappings(now_ns, change.header.tgid, |mappings| {
                    mappings.map(change.addr, change.len, change.sample);
                });
            }
            Record::Unmapped(change) => {
                self.given_back(
                    now_ns,
                    change.header.tgid,
                    (change.addr, change.len),
                    after(change.header),
                );
                self.mappings(now_ns, change.header.tgid, |mappings| {
                    mappings.unmap(change.addr, change.len);
                });
            }
            Record::Remapped(change) => self.mappings(now_ns, change.header.tgid, |mappings| {
                mappings.remap(
                    (change.old_addr, change.old_len),
                    (change.new_addr, change.new_len),
                    change.sample,
                );
            }),
            Record::Discarded(change) => {
                self.given_back(
                    now_ns,
                    change.header.tgid,
                    (change.addr, change.len),
                    after(change.header),
                );
                self.mappings(now_ns, change.header.tgid, |_| {});
            }
            Record::BrkSet(change) => {
                if let Some(process) = self.processes.get_mut(&change.header.tgid) {
                    let before = std::mem::replace(&mut process.brk, change.addr);
                    let given_back = before.saturating_sub(change.addr);
                    let until_ns = after(change.header);
                    process
                        .first_touch
                        .given_back(change.addr, given_back, until_ns, now_ns);
                    process
                        .sites
                        .took(change.sample, change.addr.saturating_sub(before));
                    process.changes += 1;
                }
            }
        }
    }

    fn took(&mut self, tgid: u32, sample: u32, bytes: u64) {
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.sites.took(sample, bytes);
        }
    }

    fn died(&mut self, tgid: u32, sample: u32, lifetime_ns: u64) {
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.sites.died(sample, lifetime_ns);
        }
    }

    /// What was touched there before `until_ns`, by the programs' clock.
    fn given_back(&mut self, now_ns: u64, tgid: u32, (addr, len): (u64, u64), until_ns: u64) {
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.first_touch.given_back(addr, len, until_ns, now_ns);
        }
    }

    fn mappings(&mut self, now_ns: u64, tgid: u32, change: impl FnOnce(&mut Mappings)) {
        let Some(process) = self.processes.get_mut(&tgid) else {
            return;
        };
        process.changes += 1;
        let before = process.mappings.len();
        if before == 0 && self.ranges >= mappings::MAX_RANGES {
            process.sites.forget_mappings();
            return;
        }
        change(&mut process.mappings);
        for sample in process.mappings.take_gone() {
            process.sites.unmapped(sample, now_ns);
        }
        self.ranges = self.ranges + process.mappings.len() - before;
    }
}

/// The end of its moment: the programs' clock is coarse, and what gives back also gives back what was touched in it.
fn after(change: Header) -> u64 {
    change.time_ns.saturating_add(1)
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

#[cfg(test)]
mod tests;
