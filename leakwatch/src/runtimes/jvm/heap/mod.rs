//! The objects of a heap by class, garbage included, counted while the program runs on.
//!
//! There is no safepoint. What a collection moves while it is read is left out, and what a full collection moves makes all
//! of it worthless, which is said.

mod klasses;
mod objects;
mod spans;

use std::{thread, time::Duration};

use self::{
    klasses::Klasses,
    objects::{Sum, Walk},
    spans::Span,
};
use super::{
    super::{Unknown, memory::Memory},
    flags::Flags,
};
use crate::hotspot::vm_structs::VmStructs;

/// More bytes than this are not read: of a larger heap, a part that is spread evenly.
const BUDGET: u64 = 2 << 30;
/// A pause of the collector is waited for, so many times so long.
const WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);

/// What was counted.
pub(super) struct Histogram {
    /// Name, objects and bytes; most bytes first.
    pub(super) classes: Vec<(String, u64, u64)>,
    /// Bytes that objects take; `None` when some were left out.
    pub(super) in_use: Option<u64>,
    /// Bytes of address space that the heap may take.
    pub(super) reserved: u64,
    /// Where it is not everything, what it is.
    pub(super) part: Option<String>,
}

/// Where the collector says what it does.
struct Collections {
    is_active: u64,
    total: u64,
}

/// Counts the objects of a JVM's heap.
///
/// # Errors
/// When its collector or its layout is not known, or a full collection gets in between.
pub(super) fn histogram(
    structs: &VmStructs,
    flags: &Flags,
    tlabs: impl Fn(&mut Memory) -> Result<Vec<(u64, u64)>, Unknown>,
    full_collections: impl Fn(&mut Memory) -> Option<u64>,
    memory: &mut Memory,
) -> Result<Histogram, Unknown> {
    let heap = memory.value::<u64>(structs.address(&[("Universe", "_collectedHeap")])?)?;
    if heap == 0 || heap >= 1 << 56 {
        return Err(Unknown::NotKept("it is just starting: it has no heap yet"));
    }
    let field = |names: &[_]| structs.offset(names).map(|offset| heap + offset);
    let collections = Collections {
        is_active: field(&[
            ("CollectedHeap", "_is_stw_gc_active"),
            ("CollectedHeap", "_is_gc_active"),
        ])?,
        total: field(&[("CollectedHeap", "_total_collections")])?,
    };
    let reserved = field(&[("CollectedHeap", "_reserved")])?;
    let words = memory.value::<u64>(reserved + structs.offset(&[("MemRegion", "_word_size")])?)?;
    collections.wait(memory)?;
    let full = full_collections(memory);
    let total = collections.total(memory)?;
    let spans = spans::spans(structs, flags, heap, memory)?;
    let gaps = tlabs(memory)?;
    let mut klasses = Klasses::new(structs, flags, memory)?;
    let plan = Plan::of(&spans);
    let mut counted = Counted::default();
    let mut walk = Walk::new(&mut klasses, &gaps);
    for span in plan.spans() {
        let sums = walk.span(span, memory)?;
        let is_moved = match span.tag {
            Some((address, tag)) => memory.value::<u32>(address)? != tag,
            None => false,
        };
        let is_young_gone = span.is_young && collections.total(memory)? != total;
        if is_moved || is_young_gone {
            counted.moved += 1;
        } else {
            let scale = if span.is_humongous { 1 } else { plan.every };
            counted.add(&sums, scale);
        }
    }
    if full_collections(memory) != full {
        return Err(Unknown::NotKept(
            "a full collection moved its objects while they were counted",
        ));
    }
    let classes = counted.classes(klasses.names());
    let in_use = classes
        .iter()
        .fold(0_u64, |sum, (_, _, bytes)| sum.saturating_add(*bytes));
    Ok(Histogram {
        classes,
        in_use: (counted.moved == 0).then_some(in_use),
        reserved: words.saturating_mul(8),
        part: plan.part(counted.moved),
    })
}

impl Collections {
    /// Waits until no collector moves objects.
    fn wait(&self, memory: &mut Memory) -> Result<(), Unknown> {
        for _ in 0..WAITS {
            if memory.value::<u8>(self.is_active)? == 0 {
                return Ok(());
            }
            thread::sleep(WAIT);
        }
        Err(Unknown::NotKept("it is collecting garbage all the time"))
    }

    fn total(&self, memory: &mut Memory) -> Result<u32, Unknown> {
        Ok(memory.value(self.total)?)
    }
}

/// Which spans are read.
struct Plan<'a> {
    all: &'a [Span],
    /// One span in so many is read; big objects all are.
    every: u64,
}

impl<'a> Plan<'a> {
    fn of(all: &'a [Span]) -> Self {
        let bytes = |span: &Span| span.end - span.start;
        let to_read: u64 = all.iter().filter(|span| !span.is_humongous).map(bytes).sum();
        Self {
            all,
            every: to_read.div_ceil(BUDGET).max(1),
        }
    }

    /// Young ones first: they are gone first.
    fn spans(&self) -> impl Iterator<Item = &'a Span> {
        let of = |is_young| {
            let spans = self.all.iter().filter(move |span| span.is_young == is_young);
            let mut index = 0;
            spans.filter(move |span| {
                index += u64::from(!span.is_humongous);
                span.is_humongous || index % self.every == 0
            })
        };
        of(true).chain(of(false)).collect::<Vec<_>>().into_iter()
    }

    fn part(&self, moved: usize) -> Option<String> {
        let mut parts = Vec::new();
        if self.every > 1 {
            parts.push(format!(
                "objects are counted in one part of the heap in {} and scaled up",
                self.every
            ));
        }
        if moved > 0 {
            let all = self.all.len();
            parts.push(format!(
                "{moved} of {all} parts of the heap were collected while they were read, and are left out"
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[derive(Default)]
struct Counted {
    sums: Vec<Sum>,
    moved: usize,
}

impl Counted {
    fn add(&mut self, sums: &[(usize, Sum)], scale: u64) {
        for (name, sum) in sums {
            if self.sums.len() <= *name {
                self.sums.resize(*name + 1, Sum::default());
            }
            let all = &mut self.sums[*name];
            all.count = all.count.saturating_add(sum.count.saturating_mul(scale));
            all.bytes = all.bytes.saturating_add(sum.bytes.saturating_mul(scale));
        }
    }

    fn classes(&self, names: &[String]) -> Vec<(String, u64, u64)> {
        let all = names.iter().zip(&self.sums);
        let mut classes: Vec<_> = all
            .filter(|(name, sum)| sum.count > 0 && !is_filler(name))
            .map(|(name, sum)| (name.clone(), sum.count, sum.bytes))
            .collect();
        classes.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        classes
    }
}

/// What the collector fills holes with, since JDK 19; before, that is `int[]` and `java.lang.Object`.
fn is_filler(name: &str) -> bool {
    name.starts_with("jdk.internal.vm.Filler")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, bytes: u64, is_humongous: bool) -> Span {
        Span {
            start,
            end: start + bytes,
            limit: start + bytes,
            is_aligned: true,
            is_young: start < 10,
            is_humongous,
            tag: None,
        }
    }

    #[test]
    fn a_large_heap_is_read_in_part_and_big_objects_all() {
        let mut all: Vec<Span> = (0..100).map(|index| span(index << 27, 1 << 27, false)).collect();
        all.push(span(1 << 40, 8, true));
        let plan = Plan::of(&all);
        assert_eq!(plan.every, 7);
        let read: Vec<_> = plan.spans().collect();
        assert_eq!(read.iter().filter(|span| span.is_humongous).count(), 1);
        assert_eq!(read.len(), 1 + 14);
        assert!(plan.part(0).is_some_and(|part| part.contains("in 7")));
        assert!(Plan::of(&all[..2]).part(0).is_none());
    }
}
