//! The kernel side: the only module that names aya.
//!
//! Reads bytes and says when; what they mean is decided in [`crate::decode`].

mod allocations;
mod btf;
pub mod catalog;
mod clock;
mod error;
mod feed;
mod interpreters;
mod iterators;
mod load;
mod offsets;
mod site_table;
mod statistics;
mod suspects;

use std::os::fd::OwnedFd;

use aya::Ebpf;
use leakwatch_common::interpreter::{ImageKey, Interpreter};

pub use self::{
    allocations::{AllocationLimits, AllocationProbes, AllocationProgram},
    error::{BTF_PATH, KernelError},
    load::{LoadOptions, StacksOf, probe_each},
};
use self::{
    feed::Feed, interpreters::Interpreters, iterators::Iterators, site_table::SiteTable,
    statistics::Statistics, suspects::Suspects,
};
use crate::{
    model::{health::ProbeHealth, interest::Interest},
    raw::{RawBatch, Reading, Source},
};

/// Loaded and attached probes. Dropping it detaches everything.
pub struct Kernel {
    probes: Vec<ProbeHealth>,
    feed: Feed,
    stacks: Feed,
    suspects: Suspects,
    interpreters: Interpreters,
    iterators: Iterators,
    sites: SiteTable,
    statistics: Statistics,
    // Last: the programs stay loaded as long as this lives.
    ebpf: Ebpf,
}

impl Kernel {
    /// Loads and attaches the probes of the catalogue. A probe that is not required and does not attach is a state with a
    /// reason, see [`Kernel::probes`].
    ///
    /// # Errors
    /// When nothing could be observed: no type information, no permission, a required probe refused.
    pub fn attach(options: &LoadOptions) -> Result<Self, KernelError> {
        let mut prepared = load::prepare(options, &[])?;
        // The first birth needs a free site: the table is filled before any probe runs.
        let sites = SiteTable::open(&mut prepared.ebpf)?;
        let probes = prepared.attach(options)?;
        let mut ebpf = prepared.ebpf;
        Ok(Self {
            feed: Feed::open(&mut ebpf, "FEED", Source::Records)?,
            stacks: Feed::open(&mut ebpf, "STACK_FEED", Source::Stacks)?,
            suspects: Suspects::open(&mut ebpf)?,
            interpreters: Interpreters::open(&mut ebpf)?,
            sites,
            statistics: Statistics::open(&mut ebpf)?,
            iterators: Iterators::new(&probes),
            probes,
            ebpf,
        })
    }

    /// Every probe of the catalogue, in its order.
    pub fn probes(&self) -> &[ProbeHealth] {
        &self.probes
    }

    /// Descriptors that become readable when a ring buffer fills up between two ticks; then call [`Kernel::drain_feeds`].
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn feed_fds(&self) -> Result<[OwnedFd; 2], KernelError> {
        let copy = |feed: &Feed| {
            feed.fd().try_clone_to_owned().map_err(|source| KernelError::Io {
                what: "dup of a ring buffer's descriptor",
                source,
            })
        };
        Ok([copy(&self.feed)?, copy(&self.stacks)?])
    }

    /// Takes over what waits in the ring buffers.
    ///
    /// Deaths first: whatever died, its birth is then among the stacks that are read.
    pub fn drain_feeds(&mut self) {
        self.feed.drain();
        self.stacks.drain();
    }

    /// Takes more stacks in these processes.
    pub fn suspect(&mut self, tgids: impl Iterator<Item = u32>) {
        self.suspects.set(tgids);
    }

    /// Takes the frames of the interpreter along with the stacks of this process.
    pub fn take_frames(&mut self, image: ImageKey, interpreter: &Interpreter) {
        self.interpreters.add(image, interpreter);
    }

    /// Does not any more: it has ended.
    pub fn forget_frames(&mut self, image: ImageKey) {
        self.interpreters.remove(image);
    }

    /// Where the threads of a process wait; `None` when that could not be read.
    pub fn threads(&mut self, tgid: u32) -> Option<RawBatch> {
        Iterators::threads(&mut self.ebpf, tgid)
    }

    /// Reads the levels, and whatever else is due.
    ///
    /// # Errors
    /// When the levels could not be read; the rest degrades visibly instead.
    pub fn read(&mut self, interest: &Interest) -> Result<Reading, KernelError> {
        // What was lost is counted before the births are read of which it may be the deaths, and told after them.
        let counters = self.statistics.counters()?;
        self.drain_feeds();
        let mut batches = Vec::new();
        // Births are counted before the levels are read, so that a descriptor opened in between is unattributed for one
        // tick instead of being attributed before it is held.
        batches.push(self.sites.read());
        let moment = clock::now();
        batches.push(self.iterators.tasks(&mut self.ebpf)?);
        if !interest.is_empty() {
            batches.extend(Iterators::files(&mut self.ebpf));
        }
        batches.extend(self.iterators.vmas(&mut self.ebpf, !interest.is_empty()));
        batches.extend(self.stacks.take());
        batches.extend(self.feed.take());
        batches.push(counters);
        Ok(Reading { moment, batches })
    }

    /// Frees the sites at these indices, whose processes or program images have ended.
    pub fn free_sites(&mut self, ended: &[u32]) {
        self.sites.free(ended);
    }

    /// Updates run counts and map sizes.
    pub fn observe_self(&mut self) -> statistics::Observed {
        self.statistics.observe(
            &self.ebpf,
            &mut self.probes,
            self.sites.in_use(),
            &self.interpreters,
        )
    }
}
