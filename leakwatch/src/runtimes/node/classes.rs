//! Objects of V8's old generation by class: a page is one object after the other, and how long each is follows from its map.
//!
//! Garbage that was not swept yet counts as well. Where no object begins, the walk goes on at the next word that points to a
//! map; what lies between is counted as not covered.

use hashbrown::HashMap;

use crate::{
    model::census::{CensusRow, Counted},
    runtimes::memory::Memory,
    v8::{
        class::Name,
        object::{Objects, pointed},
        page::{ALIGNMENT, Page},
        shape::{HEADER, Shape},
    },
};

/// Most words of which it is remembered whether they point to a map.
const MAX_KINDS: usize = 1 << 20;
/// Most classes that are told apart, and functions; all others are one.
const MAX_CLASSES: usize = 1 << 16;
const OTHERS: &str = "(other classes)";

/// Counts them.
pub(super) struct Classes<'a> {
    objects: Objects<'a, Memory>,
    /// By the word that points to their map; nothing when it does not.
    kinds: HashMap<u64, Option<Known>>,
    /// Classes of functions, by the word that points to what they share.
    functions: HashMap<u64, usize>,
    /// By name, and how much there is of each.
    numbers: HashMap<String, usize>,
    counts: Vec<(u64, u64)>,
    covered: u64,
    lost: u64,
}

/// What the objects of one map are.
#[derive(Clone, Copy)]
struct Known {
    shape: Shape,
    class: Class,
}

#[derive(Clone, Copy)]
enum Class {
    Number(usize),
    /// Functions are told apart one by one.
    Function,
    /// It is unused memory.
    Nothing,
}

impl<'a> Classes<'a> {
    pub(super) fn new(objects: Objects<'a, Memory>) -> Self {
        Self {
            objects,
            kinds: HashMap::new(),
            functions: HashMap::new(),
            numbers: HashMap::new(),
            counts: Vec::new(),
            covered: 0,
            lost: 0,
        }
    }

    /// Counts the objects of a page.
    pub(super) fn walk(&mut self, address: u64, page: &Page) {
        if page.size > ALIGNMENT {
            self.large(page);
            return;
        }
        let Some(length) = usize::try_from(page.end - address).ok() else {
            return;
        };
        // What is not resident stays 0, and nothing is there.
        let mut bytes = vec![0; length.min(usize::try_from(ALIGNMENT).unwrap_or(0))];
        let copy = |at: u64, piece: &[u8]| {
            let from = usize::try_from(at - address).unwrap_or(usize::MAX);
            if let Some(into) = bytes.get_mut(from..) {
                let length = into.len().min(piece.len());
                into[..length].copy_from_slice(&piece[..length]);
            }
            true
        };
        if self.objects.memory.resident(address, page.end, copy).is_err() {
            return;
        }
        let mut at = usize::try_from(page.start - address).unwrap_or(usize::MAX);
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 8) {
            let object = self.object(rest).filter(|&(_, size)| size <= rest.len());
            if let Some((class, size)) = object {
                self.count(class, rest, size as u64);
                at += size;
            } else {
                self.lost += if rest[..8] == [0; 8] { 0 } else { 8 };
                at += 8;
            }
        }
    }

    /// A page of one large object.
    fn large(&mut self, page: &Page) {
        let mut object = [0; HEADER];
        if self.objects.memory.read(page.start, &mut object).is_err() {
            return;
        }
        let known = self.known(&object);
        let sized = known.and_then(|known| Some((known.class, known.shape.size(&object)?)));
        match sized.filter(|&(_, size)| size <= page.size) {
            Some((class, size)) => self.count(class, &object, size),
            None => self.lost += page.allocated,
        }
    }

    /// Class and bytes of the object that begins there; nothing when none does, or when its length cannot be.
    fn object(&mut self, rest: &[u8]) -> Option<(Class, usize)> {
        let Known { shape, class } = self.known(rest)?;
        if shape == Shape::Unknown {
            // Up to the next one: no object of such a shape points to a map, but weakly.
            let next = (8..rest.len())
                .step_by(8)
                .find(|&at| self.known(&rest[at..]).is_some());
            return Some((class, next.unwrap_or(rest.len())));
        }
        let mut object = [0; HEADER];
        let length = rest.len().min(HEADER);
        object[..length].copy_from_slice(&rest[..length]);
        Some((class, usize::try_from(shape.size(&object)?).ok()?))
    }

    /// What the object is whose first word this is.
    fn known(&mut self, object: &[u8]) -> Option<Known> {
        let map = u64::from_le_bytes(*object.first_chunk()?);
        pointed(map)?;
        if let Some(known) = self.kinds.get(&map) {
            return *known;
        }
        let known = self.objects.kind(map).map(|kind| Known {
            shape: kind.shape,
            class: match kind.name {
                Name::Class(name) => Class::Number(self.number(name)),
                Name::Function => Class::Function,
                Name::Nothing => Class::Nothing,
            },
        });
        if self.kinds.len() >= MAX_KINDS {
            self.kinds.clear();
        }
        self.kinds.insert(map, known);
        known
    }

    fn count(&mut self, class: Class, object: &[u8], size: u64) {
        self.covered += size;
        let class = match class {
            Class::Number(class) => Some(class),
            Class::Function => self.function(object),
            Class::Nothing => None,
        };
        if let Some((count, bytes)) = class.and_then(|class| self.counts.get_mut(class)) {
            *count += 1;
            *bytes += size;
        }
    }

    /// The class of a function: all closures of one function in the source.
    fn function(&mut self, object: &[u8]) -> Option<usize> {
        let at = usize::try_from(self.objects.layout.function.shared).ok()?;
        let shared = u64::from_le_bytes(*object.get(at..)?.first_chunk()?);
        if let Some(&class) = self.functions.get(&shared) {
            return Some(class);
        }
        let function = self.objects.function(shared)?;
        let name = match (function.file, function.line) {
            (Some(file), Some(line)) => format!("{}() ({file}:{line})", function.name),
            (Some(file), None) => format!("{}() ({file})", function.name),
            _ => format!("{}()", function.name),
        };
        let class = self.number(name);
        if self.functions.len() < MAX_CLASSES {
            self.functions.insert(shared, class);
        }
        Some(class)
    }

    fn number(&mut self, name: String) -> usize {
        let name = if self.numbers.len() < MAX_CLASSES {
            name
        } else {
            OTHERS.to_owned()
        };
        *self.numbers.entry(name).or_insert_with(|| {
            self.counts.push((0, 0));
            self.counts.len() - 1
        })
    }

    /// Bytes in objects that were told, of all, in hundredths.
    pub(super) fn covered_percent(&self) -> u64 {
        let all = self.covered + self.lost;
        (self.covered * 100).checked_div(all).unwrap_or(100)
    }

    pub(super) fn rows(self) -> impl Iterator<Item = CensusRow> {
        let Self { numbers, counts, .. } = self;
        numbers.into_iter().filter_map(move |(name, number)| {
            let (count, bytes) = *counts.get(number)?;
            (count > 0).then(|| CensusRow::of(Counted::Class, name, count, Some(bytes)))
        })
    }
}
