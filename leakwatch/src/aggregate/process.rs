//! One process: what it holds, how that moved, where it was taken.

use std::collections::HashMap;

use leakwatch_common::{
    kind::Kind,
    levels::{TaskRow, flag},
};

use super::{
    FdKinds,
    first_touch::FirstTouch,
    mappings::Mappings,
    sites::{Held, Sites, Survivor},
    waiting::Waiting,
    window::{Amounts, Window},
};
use crate::{
    model::{identity::ProcessId, stack::StackId},
    raw::Moment,
};

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
    /// Who touched its memory first.
    pub first_touch: FirstTouch,
    /// Sampled births by stack.
    pub sites: Sites,
    /// Where its threads wait, when that was last read.
    pub waiting: Option<Waiting>,
    /// Anonymous mappings whose birth was seen.
    pub mappings: Mappings,
    /// Changes of its address space that were sent, or known to be lost.
    pub(super) changes: u64,
    /// The program break as of the last change that was told: that of the row is newer.
    pub(super) brk: u64,
    /// The pass that saw it last.
    pub(super) pass: u64,
}

impl Process {
    pub(super) fn new(id: ProcessId, row: TaskRow) -> Self {
        Self {
            id,
            row,
            window: Window::default(),
            fd_kinds: None,
            mapped_anon_bytes: None,
            first_touch: FirstTouch::default(),
            mappings: Mappings::default(),
            sites: Sites::default(),
            waiting: None,
            changes: 0,
            brk: row.brk,
            pass: 0,
        }
    }

    /// Whether births with these marks are of the program that it runs now.
    pub(super) fn is_image(&self, start_boottime_ns: u64, exec_id: u32) -> bool {
        self.id.start_time_ns == start_boottime_ns && self.row.exec_id == exec_id
    }

    pub(super) fn update(&mut self, moment: Moment, row: TaskRow) {
        if row.exec_id != self.row.exec_id {
            self.mappings.forget();
            self.changes = 0;
            self.first_touch = FirstTouch::default();
            self.sites = Sites::default();
            self.waiting = None;
            self.brk = row.brk;
        }
        self.row = row;
        self.fd_kinds = None;
        self.window.push(moment.monotonic_ns, self.amounts());
    }

    /// What is still held, by kind and stack.
    ///
    /// Deaths of mappings are not reported by sample: a sample lives as long as a range in the ledger has its number.
    pub fn held(&self) -> HashMap<(Kind, StackId), Held> {
        let mapped = self.mappings.by_sample();
        self.sites
            .held(&|sample| mapped.get(&sample).map(|&(_, bytes)| bytes))
    }

    /// Sampled things that it holds, touched pages among them; by kind, stack and age, the oldest first.
    pub fn survivors(&self) -> Vec<Survivor> {
        let mut survivors: Vec<Survivor> = self
            .sites
            .survivors()
            .chain(self.first_touch.survivors())
            .collect();
        survivors.sort_unstable();
        survivors
    }

    /// Its levels, as far as their past is kept.
    pub fn amounts(&self) -> Amounts {
        Amounts {
            memory: self.row.rss_anon_bytes.saturating_add(self.row.swap_bytes),
            fds: u64::from(self.row.fds),
            threads: u64::from(self.row.threads),
        }
    }

    /// Whether it has exited and waits to be reaped.
    pub fn is_zombie(&self) -> bool {
        self.row.flags & flag::ZOMBIE != 0
    }
}
