//! Objects of V8's old generation by class: a page is one object after the other, and how long each is follows from its map.
//!
//! Garbage that was not swept yet counts as well. Where the length of an object is not known, or where nothing is, the walk
//! goes on at the next word that points to a map; what lies between is counted as not covered.

use std::collections::HashMap;

use crate::{
    model::census::{CensusRow, Counted},
    runtimes::memory::Memory,
    target_memory::TargetMemory,
    v8::{
        class::{Kind, Name},
        object::{Objects, pointed},
        page::{ALIGNMENT, Page},
        shape::HEADER,
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

#[derive(Clone)]
struct Known {
    kind: Kind,
    /// Nothing for functions, which are told apart one by one, and for unused memory.
    class: Option<usize>,
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
            // One large object.
            let mut object = [0; HEADER];
            if self.objects.memory.read(page.start, &mut object).is_ok() {
                let size = self.object(page.start, &object);
                self.covered += size.unwrap_or(0);
                self.lost += if size.is_none() { page.allocated } else { 0 };
            }
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
            let mut object = [0; HEADER];
            let length = rest.len().min(HEADER);
            object[..length].copy_from_slice(&rest[..length]);
            let size = self.object(address + at as u64, &object);
            let size = size.and_then(|size| usize::try_from(size).ok());
            match size.filter(|&size| size <= rest.len()) {
                Some(size) => {
                    self.covered += size as u64;
                    at += size;
                }
                None => {
                    self.lost += if object[..8] == [0; 8] { 0 } else { 8 };
                    at += 8;
                }
            }
        }
    }

    /// Counts an object; its size, or nothing when there is none or it is not known.
    fn object(&mut self, address: u64, object: &[u8; HEADER]) -> Option<u64> {
        let map = u64::from_le_bytes(*object.first_chunk()?);
        pointed(map)?;
        if self.kinds.len() >= MAX_KINDS {
            self.kinds.clear();
        }
        let known = match self.kinds.get(&map) {
            Some(known) => known.clone(),
            None => {
                let kind = self.objects.kind(map);
                let known = kind.map(|kind| Known {
                    class: match &kind.name {
                        Name::Class(name) => Some(self.number(name.clone())),
                        Name::Function | Name::Nothing => None,
                    },
                    kind,
                });
                self.kinds.insert(map, known.clone());
                known
            }
        }?;
        let size = known.kind.shape.size(object)?;
        let class = match (&known.kind.name, known.class) {
            (_, Some(class)) => Some(class),
            (Name::Function, None) => self.function(address),
            _ => None,
        };
        if let Some((count, bytes)) = class.and_then(|class| self.counts.get_mut(class)) {
            *count += 1;
            *bytes += size;
        }
        Some(size)
    }

    /// The class of a function: all closures of one function in the source.
    fn function(&mut self, address: u64) -> Option<usize> {
        let at = address + self.objects.layout.function.shared;
        let shared = self.objects.memory.word(at).ok()?;
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
            (count > 0).then_some(CensusRow {
                counted: Counted::Class,
                name,
                count,
                bytes: Some(bytes),
                oldest_seconds: None,
                frames: Vec::new(),
            })
        })
    }
}
