//! The rows of one process's sites: samples say which stack, counts say how many.

use std::{cmp::Reverse, collections::HashMap};

use leakwatch_common::kind::Kind;

use super::{
    Names, Parts, live,
    shares::{Part, shared},
};
use crate::{
    aggregate::{
        Process,
        sites::{Held, Site},
        waiting::Waiting,
    },
    attribute::{Facts, blame},
    model::{
        finding::{FindingSite, Resource},
        snapshot::{FrameRow, SITES_PER_ROW, SITES_PER_ROW_OF_MANY, SiteRow},
        stack::StackId,
    },
    raw::SiteReading,
};

/// The sites of one process that hold most, most first.
pub(super) fn rows(
    parts: &Parts<'_>,
    facts: &mut dyn Facts,
    names: &mut dyn Names,
    process: &Process,
    counts: &[&SiteReading],
) -> Vec<SiteRow> {
    let mut found = found(parts, process, counts);
    let few = parts.interest.names(process.id.pid);
    found.truncate(if few { SITES_PER_ROW } else { SITES_PER_ROW_OF_MANY });
    let row = |(kind, part): &(&'static str, Part)| row(parts, facts, names, process, kind, part);
    found.iter().map(row).collect()
}

/// The sites of one process that are behind a finding: the suspects in their order, and then those that hold most.
pub(super) fn blamed(
    parts: &Parts<'_>,
    names: &mut dyn Names,
    process: &Process,
    counts: &[&SiteReading],
    suspects: &[(Kind, StackId)],
    resource: Resource,
) -> Vec<FindingSite> {
    let is_wanted = |name: &str| {
        let mut kinds = Kind::ALL.iter();
        kinds.any(|kind| kind.name() == name && is_of(*kind, resource))
    };
    let mut found = found(parts, process, counts);
    found.retain(|(kind, part)| is_wanted(kind) && part.holds());
    let reserves = |kind: &str| resource == Resource::Memory && kind != Kind::FirstTouch.name();
    found.sort_by_key(|(kind, part)| (rank(suspects, kind, part.stack), reserves(kind)));
    found.truncate(SITES_PER_ROW_OF_MANY);
    // Of memory that was touched and of address space, which may only be set aside, there is no common sum.
    let all = |kind: &str| -> f64 {
        let alike = found.iter().filter(|(of, _)| reserves(of) == reserves(kind));
        alike.map(|(_, part)| part.amount()).sum()
    };
    let site = |(kind, part): &(&'static str, Part)| {
        let (frames, _) = part.frames(names);
        FindingSite {
            kind: (*kind).to_owned(),
            function: blame::function(&frames),
            live: part.live,
            bytes: part.live_bytes,
            share: part_of(part.amount(), all(kind)),
            oldest_seconds: part.age_ns(parts).map(|age| age as f64 / 1e9),
            frames,
        }
    };
    if resource != Resource::Memory {
        return found.iter().take(SITES_PER_FINDING).map(site).collect();
    }
    let ranks = found
        .iter()
        .map(|(kind, part)| (rank(suspects, kind, part.stack), reserves(kind)));
    let mut sites = by_function(ranks.zip(found.iter().map(site)).collect());
    sites.truncate(SITES_PER_FINDING);
    sites
}

/// Sites of memory, with their ranks, in the order of the functions that are blamed: one that takes it by way of several stacks
/// is as suspicious as the first of them, and holds what they hold together.
fn by_function<R: Copy + Ord>(sites: Vec<(R, FindingSite)>) -> Vec<FindingSite> {
    let standing = |of: &FindingSite| {
        let alike = sites.iter();
        let alike = alike.filter(|(_, site)| site.kind == of.kind && site.function == of.function);
        let rank = alike.clone().map(|(rank, _)| *rank).min();
        let share: f64 = alike.map(|(_, site)| site.share).sum();
        let is_own = share >= OWN_AT_LEAST && blame::is_of_program(&of.frames);
        (!is_own, rank, share)
    };
    let standings: Vec<_> = sites.iter().map(|(_, site)| standing(site)).collect();
    let mut ordered: Vec<_> = standings.into_iter().zip(sites).collect();
    ordered.sort_by(
        |((a_other, a_rank, a_share), _), ((b_other, b_rank, b_share), _)| {
            let rank = (a_other, a_rank).cmp(&(b_other, b_rank));
            rank.then(b_share.total_cmp(a_share))
        },
    );
    ordered.into_iter().map(|(_, (_, site))| site).collect()
}

fn part_of(some: f64, all: f64) -> f64 {
    if all > 0.0 { some / all } else { 0.0 }
}

/// Functions that have so much of the memory come first when the program's own code is in the stack: a runtime's allocator and
/// its collector take for everybody.
const OWN_AT_LEAST: f64 = 0.05;
/// Sites that a finding carries at most.
const SITES_PER_FINDING: usize = 5;

/// Whether what this kind of site takes counts as this resource.
fn is_of(kind: Kind, resource: Resource) -> bool {
    match resource {
        Resource::Fd => kind.is_fd(),
        Resource::Thread => kind == Kind::Thread,
        Resource::Maps => kind == Kind::Mapping,
        Resource::Memory => matches!(kind, Kind::FirstTouch | Kind::Mapping | Kind::BrkGrow),
    }
}

/// Where a site stands in the list of suspects; the last place for who is none.
fn rank(suspects: &[(Kind, StackId)], kind: &str, stack: Option<StackId>) -> usize {
    suspects
        .iter()
        .position(|&(of, at)| of.name() == kind && Some(at) == stack)
        .unwrap_or(usize::MAX)
}

/// Every site of one process, those that hold most first.
fn found(parts: &Parts<'_>, process: &Process, counts: &[&SiteReading]) -> Vec<(&'static str, Part)> {
    let held = process.held();
    let mut found: Vec<(&'static str, Part)> = Vec::new();
    for site in counts {
        let Ok(kind) = Kind::try_from(site.counts.key.kind) else {
            continue;
        };
        let stacks = by_stack(process, kind, &held);
        let exact = exact(process, kind, site);
        found.extend(shared(stacks, exact).into_iter().map(|part| (kind.name(), part)));
    }
    let touched = touched(process, parts.fault_period_bytes);
    found.extend(touched.into_iter().map(|part| (Kind::FirstTouch.name(), part)));
    found.extend(waiting(process).map(|part| (WAITING, part)));
    // Down to the number of the stack: what was recorded is replayed in the same order.
    found.sort_by_key(|(kind, part)| {
        let most = (part.stack.is_some(), part.live, part.live_bytes, part.born);
        (Reverse(most), *kind, part.stack)
    });
    found
}

/// The kind of a row that says where threads wait.
const WAITING: &str = "waiting_thread";

fn by_stack(process: &Process, kind: Kind, held: &HashMap<(Kind, StackId), Held>) -> Vec<Part> {
    let nothing = Held::default();
    let part = |(_, stack, site): (Kind, StackId, &Site)| {
        let held = held.get(&(kind, stack)).unwrap_or(&nothing);
        let followed = is_followed(kind);
        Part {
            stack: Some(stack),
            samples: site.samples,
            born: site.born,
            bytes: site.bytes,
            live: followed.then_some(held.live),
            live_bytes: (kind == Kind::Mapping).then_some(held.bytes),
            oldest_ns: held.oldest_ns,
            mean_lifetime_ns: site.lifetimes.mean_ns(),
            p95_lifetime_ns: site.lifetimes.quantile_ns(0.95),
            items: held.items.clone(),
        }
    };
    let of_kind = process.sites.iter().filter(|(of, ..)| *of == kind);
    let mut parts: Vec<Part> = of_kind.map(part).collect();
    // Among equals the last one gets what rounding leaves over.
    parts.sort_by_key(|part| part.stack);
    parts
}

/// Whether it is known what of a kind is alive.
fn is_followed(kind: Kind) -> bool {
    kind.is_fd() || kind == Kind::Thread || kind == Kind::Mapping
}

/// What the kernel counted of one kind.
fn exact(process: &Process, kind: Kind, site: &SiteReading) -> Part {
    let counts = &site.counts;
    let mapped = (kind == Kind::Mapping).then(|| process.mappings.total());
    Part {
        born: counts.born,
        bytes: counts.bytes,
        live: match mapped {
            Some((ranges, _)) => Some(ranges),
            None => is_followed(kind).then(|| live(counts)),
        },
        live_bytes: mapped.map(|(_, bytes)| bytes),
        mean_lifetime_ns: counts.lifetime_ns.checked_div(counts.died),
        ..Part::default()
    }
}

fn touched(process: &Process, period_bytes: u64) -> Vec<Part> {
    let held = process.first_touch.held();
    let part = |(stack, samples, periods): (StackId, u64, u64)| Part {
        stack: Some(stack),
        samples,
        born: periods,
        bytes: periods * period_bytes,
        live_bytes: Some(held.get(&stack).map_or(0, |held| held.live * period_bytes)),
        oldest_ns: held.get(&stack).and_then(|held| held.oldest_ns),
        ..Part::default()
    };
    process.first_touch.samples().map(part).collect()
}

fn waiting(process: &Process) -> impl Iterator<Item = Part> {
    let stacks = process.waiting.iter().flat_map(Waiting::stacks);
    stacks.map(|(stack, tids)| Part {
        stack: Some(stack),
        samples: tids.len() as u64,
        live: Some(tids.len() as u64),
        items: tids.iter().take(3).map(|&tid| u64::from(tid)).collect(),
        ..Part::default()
    })
}

impl Part {
    /// Its stack, and why that is not all of it.
    fn frames(&self, names: &mut dyn Names) -> (Vec<FrameRow>, Option<String>) {
        let stack = self.stack.filter(|&stack| stack != StackId::NONE);
        stack.map_or_else(Default::default, |stack| names.frames(stack))
    }

    /// Age of the oldest that is held, nanoseconds.
    fn age_ns(&self, parts: &Parts<'_>) -> Option<u64> {
        self.oldest_ns
            .map(|since| parts.moment.monotonic_ns.saturating_sub(since))
    }

    /// What is held: bytes where they are known, else things.
    fn amount(&self) -> f64 {
        self.live_bytes.or(self.live).unwrap_or(0) as f64
    }

    /// Whether anything that was taken here is still held, as far as that is known.
    fn holds(&self) -> bool {
        self.live != Some(0) && self.live_bytes != Some(0)
    }
}

fn row(
    parts: &Parts<'_>,
    facts: &mut dyn Facts,
    names: &mut dyn Names,
    process: &Process,
    kind: &'static str,
    part: &Part,
) -> SiteRow {
    let (frames, cut) = part.frames(names);
    let examples = part
        .items
        .iter()
        .filter_map(|&item| facts.item(process.id.pid, kind, item));
    SiteRow {
        kind: kind.to_owned(),
        function: blame::function(&frames),
        examples: examples.collect(),
        frames,
        cut,
        samples: part.samples,
        born: part.born,
        live: part.live,
        bytes: part.bytes,
        live_bytes: part.live_bytes,
        oldest_ns: part.age_ns(parts),
        mean_lifetime_ns: part.mean_lifetime_ns,
        p95_lifetime_ns: part.p95_lifetime_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::{FindingSite, FrameRow, by_function};

    fn site(function: &str, share: f64) -> FindingSite {
        FindingSite {
            kind: "first_touch".to_owned(),
            function: Some(function.to_owned()),
            live: None,
            bytes: None,
            share,
            oldest_seconds: None,
            frames: vec![FrameRow::named(function.to_owned())],
        }
    }

    #[test]
    fn what_a_function_holds_by_several_stacks_counts_together() {
        let sites = vec![
            (1, site("makeThumbnail", 0.4)),
            (1, site("keepThumbnail", 0.35)),
            (1, site("keepThumbnail", 0.2)),
            (0, site("suspected", 0.05)),
            (0, site("hardly", 0.01)),
        ];
        let ordered: Vec<_> = by_function(sites)
            .into_iter()
            .filter_map(|site| site.function)
            .collect();
        assert_eq!(
            ordered,
            [
                "suspected",
                "keepThumbnail",
                "keepThumbnail",
                "makeThumbnail",
                "hardly"
            ]
        );
    }
}
