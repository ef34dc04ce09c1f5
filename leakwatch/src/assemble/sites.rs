//! The rows of one process's sites: samples say which stack, counts say how many.

use std::{cmp::Reverse, collections::HashMap};

use leakwatch_common::kind::Kind;

use super::{Names, Parts, live};
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

/// What one stack contributes to the rows of a kind.
#[derive(Clone, Debug, Default)]
struct Part {
    stack: Option<StackId>,
    samples: u64,
    born: u64,
    bytes: u64,
    live: Option<u64>,
    live_bytes: Option<u64>,
    oldest_ns: Option<u64>,
    mean_lifetime_ns: Option<u64>,
    p95_lifetime_ns: Option<u64>,
    items: Vec<u64>,
}

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
    let is_own = |site: &FindingSite| site.share >= OWN_AT_LEAST && blame::is_of_program(&site.frames);
    let mut sites: Vec<FindingSite> = found.iter().map(site).collect();
    sites.sort_by_key(|site| !is_own(site));
    sites.truncate(SITES_PER_FINDING);
    sites
}

fn part_of(some: f64, all: f64) -> f64 {
    if all > 0.0 { some / all } else { 0.0 }
}

/// Sites of memory that have so much of it come first when the program's own code is in their stack: a runtime's allocator and
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

/// Makes the parts add up to what was counted. Samples are taken at random, so what none stands for belongs to the stacks as
/// what they stand for does; without a sample it is a part of its own. Bytes go with the things that they are of, and no
/// further: one large mapping without a sample may be most of them.
///
/// What lives and what died is shared out, not what was born, so that nowhere more lives than was born.
fn shared(mut parts: Vec<Part>, exact: Part) -> Vec<Part> {
    let mut rest = exact;
    let estimated: Vec<(u64, Option<u64>)> = parts.iter().map(|part| (part.born, part.live)).collect();
    let mut died: Vec<u64> = parts.iter().map(Part::died).collect();
    let mut rest_died = rest.died();
    share(&mut rest_died, died.iter_mut());
    if let Some(live) = &mut rest.live {
        share(live, parts.iter_mut().filter_map(|part| part.live.as_mut()));
    }
    for (part, died) in parts.iter_mut().zip(died) {
        part.born = died + part.live.unwrap_or(0);
    }
    rest.born = rest_died + rest.live.unwrap_or(0);
    for (part, (born, live)) in parts.iter_mut().zip(estimated) {
        part.bytes = in_proportion(part.bytes, part.born, born);
        part.live_bytes = part.live_bytes.map(|bytes| match (part.live, live) {
            (Some(now), Some(before)) => in_proportion(bytes, now, before),
            _ => bytes,
        });
    }
    fit(&mut rest.bytes, parts.iter_mut().map(|part| &mut part.bytes));
    if let Some(bytes) = &mut rest.live_bytes {
        fit(
            bytes,
            parts.iter_mut().filter_map(|part| part.live_bytes.as_mut()),
        );
    }
    if rest.born > 0
        || rest.live.is_some_and(|live| live > 0)
        || rest.live_bytes.is_some_and(|bytes| bytes > 0)
    {
        parts.push(rest);
    }
    parts
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

    /// What was given back; everything, where it is not known what lives.
    fn died(&self) -> u64 {
        self.born.saturating_sub(self.live.unwrap_or(0))
    }
}

/// Scales `estimates` to the sum `exact`, of which it leaves what cannot be shared out: all, when there is no estimate above 0.
fn share<'a>(exact: &mut u64, estimates: impl Iterator<Item = &'a mut u64>) {
    let mut estimates: Vec<&mut u64> = estimates.collect();
    let sum: u128 = estimates.iter().map(|estimate| u128::from(**estimate)).sum();
    if sum == 0 {
        return;
    }
    let whole = u128::from(*exact);
    let mut left = *exact;
    for estimate in &mut estimates {
        **estimate = u64::try_from(u128::from(**estimate) * whole / sum).unwrap_or(u64::MAX);
        left -= **estimate;
    }
    // What rounding down left over: less than one for each.
    if let Some(largest) = estimates.iter_mut().max() {
        **largest += left;
    }
    *exact = 0;
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

/// `amount * numerator / denominator`.
fn in_proportion(amount: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = (u128::from(amount) * u128::from(numerator)).checked_div(u128::from(denominator));
    scaled.map_or(amount, |scaled| u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// As [`share`], but only down.
fn fit<'a>(exact: &mut u64, estimates: impl Iterator<Item = &'a mut u64>) {
    let estimates: Vec<&mut u64> = estimates.collect();
    let sum: u64 = estimates
        .iter()
        .fold(0, |sum: u64, estimate| sum.saturating_add(**estimate));
    match exact.checked_sub(sum) {
        Some(rest) => *exact = rest,
        None => share(exact, estimates.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(stack: u32, born: u64, live: u64) -> Part {
        Part {
            stack: Some(StackId(stack)),
            born,
            live: Some(live),
            ..Part::default()
        }
    }

    fn exact(born: u64, live: u64) -> Part {
        Part {
            born,
            live: Some(live),
            ..Part::default()
        }
    }

    fn sums(parts: &[Part]) -> (u64, u64) {
        (
            parts.iter().map(|part| part.born).sum(),
            parts.iter().filter_map(|part| part.live).sum(),
        )
    }

    #[test]
    fn estimates_are_scaled_to_the_count() {
        let parts = shared(vec![part(1, 40, 4), part(2, 50, 0)], exact(100, 7));
        assert_eq!(sums(&parts), (100, 7));
        assert_eq!((parts[0].live, parts[1].live), (Some(7), Some(0)));
        assert_eq!((parts[0].born, parts[1].born), (45, 55));
        let parts = shared(vec![part(1, 400, 30), part(2, 400, 10)], exact(100, 4));
        assert_eq!(sums(&parts), (100, 4));
        assert_eq!(parts[0].live, Some(3));
    }

    #[test]
    fn bytes_go_with_what_they_are_of() {
        let mapping = |born, live, bytes, live_bytes| Part {
            stack: Some(StackId(1)),
            born,
            bytes,
            live: Some(live),
            live_bytes: Some(live_bytes),
            ..Part::default()
        };
        let parts = shared(vec![mapping(10, 10, 100, 100)], mapping(50, 50, 9_000, 9_000));
        assert_eq!((parts[0].live, parts[0].live_bytes), (Some(50), Some(500)));
        assert_eq!(parts[1].live_bytes, Some(8_500));
    }

    #[test]
    fn bytes_are_not_given_to_who_did_not_take_them() {
        let mut rest = 1_000;
        let mut estimates = [100, 50];
        fit(&mut rest, estimates.iter_mut());
        assert_eq!((rest, estimates), (850, [100, 50]));
        rest = 75;
        fit(&mut rest, estimates.iter_mut());
        assert_eq!((rest, estimates), (0, [50, 25]));
    }

    #[test]
    fn nowhere_lives_more_than_was_born() {
        let parts = shared(vec![part(1, 10, 10), part(2, 90, 1)], exact(700, 600));
        assert!(parts.iter().all(|part| part.live <= Some(part.born)), "{parts:?}");
        assert_eq!(sums(&parts), (700, 600));
    }

    #[test]
    fn what_no_sample_stands_for_is_a_row_of_its_own() {
        let parts = shared(vec![part(1, 40, 0)], exact(100, 7));
        assert_eq!(sums(&parts), (100, 7));
        let rest = parts.last().unwrap();
        assert_eq!((rest.stack, rest.born, rest.live), (None, 7, Some(7)));
        assert_eq!(shared(Vec::new(), exact(0, 0)).len(), 0);
    }
}
