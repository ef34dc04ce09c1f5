//! What is known of the things that one process took, and of those that it still holds.

use leakwatch_common::kind::Kind;

use crate::{
    aggregate::{
        Process,
        cohorts::Cohorts,
        lifetimes::Lifetimes,
        sites::{Sites, Survivor},
    },
    model::{finding::Resource, stack::StackId},
};

/// What is known of the things that one process took, at one moment.
pub(super) struct Survey<'a> {
    pub(super) now_ns: u64,
    /// By kind, stack and age.
    survivors: Vec<Survivor>,
    /// By kind and stack.
    pub(super) sites: Vec<(Kind, StackId, &'a Lifetimes, &'a Cohorts)>,
    births: &'a Sites,
}

impl<'a> Survey<'a> {
    pub(super) fn of(process: &'a Process, now_ns: u64) -> Self {
        let births = process.sites.iter();
        let births = births.map(|(kind, stack, site)| (kind, stack, &site.lifetimes, &site.cohorts));
        let touches = process.first_touch.stacks();
        let touches = touches.map(|(stack, of)| (Kind::FirstTouch, stack, &of.lifetimes, &of.cohorts));
        let mut sites: Vec<_> = births.chain(touches).collect();
        sites.sort_unstable_by_key(|&(kind, stack, ..)| (kind, stack));
        Self {
            now_ns,
            survivors: process.survivors(),
            sites,
            births: &process.sites,
        }
    }

    /// See [`Sites::whole_since_ns`].
    pub(super) fn whole_since_ns(&self, kind: Kind) -> u64 {
        self.births.whole_since_ns(kind)
    }

    /// Kinds of things that count as `resource`.
    pub(super) fn kinds(&self, resource: Resource) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.sites.iter().map(|(kind, ..)| *kind).collect();
        kinds.dedup();
        kinds.retain(|&kind| counts_as(kind, resource));
        kinds
    }

    /// Survivors that one stack took, or any.
    pub(super) fn survivors(&self, kind: Kind, stack: Option<StackId>) -> &[Survivor] {
        let of = |survivor: &Survivor| (survivor.kind, stack.map(|_| survivor.stack));
        let from = self
            .survivors
            .partition_point(|survivor| of(survivor) < (kind, stack));
        let to = self
            .survivors
            .partition_point(|survivor| of(survivor) <= (kind, stack));
        &self.survivors[from..to]
    }
}

/// Whether survivors of a kind make that resource grow.
fn counts_as(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Fd => kind.is_fd(),
        Resource::Thread => kind == Kind::Thread,
        Resource::Memory => matches!(kind, Kind::Mapping | Kind::FirstTouch),
        Resource::Maps => kind == Kind::Mapping,
    }
}
