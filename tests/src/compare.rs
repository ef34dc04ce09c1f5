//! Field by field: what leakwatch says about a process and what `/proc` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use leakwatch::model::snapshot::{ProcessRow, Snapshot, State};

use crate::{stress::AtRest, table::Table, truth::Truth};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Of which process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Field of the JSON.
    pub field: String,
    /// What leakwatch says.
    pub leakwatch: String,
    /// What `/proc` says.
    pub proc: String,
}

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub struct Report {
    /// Comparisons made, by field.
    pub compared: BTreeMap<&'static str, u32>,
    /// Those that differ.
    pub mismatches: Vec<Mismatch>,
    /// Processes whose truth changed while it was read: at rest there is none.
    pub restless: Vec<u32>,
}

impl Report {
    /// Whether everything was compared and is equal.
    pub fn is_exact(&self) -> bool {
        self.mismatches.is_empty() && self.restless.is_empty() && !self.compared.is_empty()
    }

    fn compare<T: PartialEq + fmt::Debug>(
        &mut self,
        pid: u32,
        name: &str,
        field: &'static str,
        leakwatch: &T,
        proc: &T,
    ) {
        *self.compared.entry(field).or_default() += 1;
        if leakwatch != proc {
            self.mismatches.push(Mismatch {
                pid,
                name: name.to_owned(),
                field: field.to_owned(),
                leakwatch: format!("{leakwatch:?}"),
                proc: format!("{proc:?}"),
            });
        }
    }

    fn process(&mut self, row: &ProcessRow, truth: &Truth) {
        let (pid, name) = (truth.pid, truth.name.as_str());
        let zombie = truth.is_zombie();
        self.compare(
            pid,
            name,
            "state (zombie)",
            &(row.state == State::Zombie),
            &zombie,
        );
        self.compare(pid, name, "parent_pid", &row.parent_pid, &truth.parent_pid);
        self.compare(pid, name, "start_time", &start_ticks(row), &truth.start_ticks);
        self.compare(pid, name, "fds", &row.fds, &truth.fds());
        if zombie {
            // The rest of a zombie is in nobody's interest, and the kernel's own files disagree about it.
            return;
        }
        self.compare(pid, name, "threads", &row.threads, &truth.threads);
        self.compare(pid, name, "fd_limit", &row.fd_limit, &truth.fd_limit);
        // `None` is a failure: they were asked for.
        self.compare(
            pid,
            name,
            "fd_kinds",
            &row.fd_kinds.as_ref().map(without_zeros),
            &Some(truth.fd_kinds.clone()),
        );
        if let Some(memory) = truth.memory {
            self.compare(pid, name, "maps", &row.maps, &memory.maps);
            let mapped = Some(memory.mapped_anon_bytes);
            self.compare(pid, name, "mapped_anon_bytes", &row.mapped_anon_bytes, &mapped);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["field", "compared", "differ"]);
        for (field, count) in &self.compared {
            let differ = self
                .mismatches
                .iter()
                .filter(|mismatch| mismatch.field == *field)
                .count();
            table.row([(*field).to_owned(), count.to_string(), differ.to_string()]);
        }
        let total: u32 = self.compared.values().sum();
        table.row([
            "total".to_owned(),
            total.to_string(),
            self.mismatches.len().to_string(),
        ]);
        write!(f, "{table}")?;
        if !self.restless.is_empty() {
            writeln!(f, "changed while they were read: {:?}", self.restless)?;
        }
        if !self.mismatches.is_empty() {
            let mut table = Table::new(&["pid", "name", "field", "leakwatch", "/proc"]);
            for mismatch in &self.mismatches {
                let Mismatch {
                    pid,
                    name,
                    field,
                    leakwatch,
                    proc,
                } = mismatch.clone();
                table.row([pid.to_string(), name, field, leakwatch, proc]);
            }
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}

/// Compares every process of a stress tree at rest with snapshots of it, until all is equal or `patience` is over.
pub fn until_exact(
    rest: &AtRest,
    patience: Duration,
    mut snapshot: impl FnMut() -> Result<Snapshot>,
) -> Result<Report> {
    let deadline = Instant::now() + patience;
    loop {
        let report = once(rest, &mut snapshot)?;
        if report.is_exact() || Instant::now() >= deadline {
            return Ok(report);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn once(rest: &AtRest, snapshot: &mut impl FnMut() -> Result<Snapshot>) -> Result<Report> {
    let mut report = Report::default();
    let before = truths(&rest.processes)?;
    let snapshot = snapshot()?;
    let after = truths(&rest.processes)?;
    let rows: BTreeMap<u32, &ProcessRow> = snapshot.processes.iter().map(|row| (row.id.pid, row)).collect();
    for (pid, truth) in &after {
        if before.get(pid) != Some(truth) {
            report.restless.push(*pid);
        }
        report.compare(*pid, &truth.name, "present", &rows.contains_key(pid), &true);
        if let Some(row) = rows.get(pid) {
            report.process(row, truth);
        }
    }
    for pid in &rest.exited {
        // The pid may belong to somebody else by now.
        if Truth::read(*pid)?.is_none() {
            report.compare(*pid, "exited", "absent", &!rows.contains_key(pid), &true);
        }
    }
    let seen: BTreeSet<u32> = after.keys().copied().collect();
    if let Some(gone) = rest.processes.iter().find(|pid| !seen.contains(pid)) {
        bail!("process {gone} of the stress tree is gone: it was to stay");
    }
    Ok(report)
}

fn truths(pids: &[u32]) -> Result<BTreeMap<u32, Truth>> {
    let mut truths = BTreeMap::new();
    for &pid in pids {
        if let Some(mut truth) = Truth::read(pid)? {
            // Pages come and go with the kernel's own work; how many are resident is not held still here.
            if let Some(memory) = &mut truth.memory {
                (memory.rss_anon_bytes, memory.rss_file_bytes) = (0, 0);
                (memory.rss_shmem_bytes, memory.swap_bytes) = (0, 0);
            }
            truths.insert(pid, truth);
        }
    }
    Ok(truths)
}

/// In the unit that `/proc` has.
fn start_ticks(row: &ProcessRow) -> u64 {
    row.id.start_time_ns / (1_000_000_000 / rustix::param::clock_ticks_per_second())
}

fn without_zeros(kinds: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    kinds
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| (kind.clone(), *count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn nothing_compared_is_not_exact() {
        assert!(!Report::default().is_exact());
    }

    #[test]
    fn a_difference_is_shown_with_both_values() {
        let mut report = Report::default();
        report.compare(7, "java", "fds", &3, &3);
        assert!(report.is_exact());
        report.compare(7, "java", "threads", &20, &21);
        assert!(!report.is_exact());
        let text = report.to_string();
        assert!(text.contains("7    java  threads  20         21"), "{text}");
    }
}
