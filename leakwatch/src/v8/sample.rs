//! A heap that is made up, laid out as that of node 20 is, for tests.

use super::{metadata::Layout, object::Objects};
use crate::target_memory::made_up::MadeUp;

pub(super) const CONTEXT: u16 = 205;
pub(super) const FUNCTION: u16 = 2066;
pub(super) const OBJECT: u16 = 1057;
const MAP: u16 = 255;
const ODDBALL: u16 = 131;
const SCOPE_INFO: u16 = 261;
const SHARED: u16 = 262;
const SCRIPT: u16 = 167;
const ONE_BYTE: u16 = 40;
const TWO_BYTE: u16 = 32;
const CONS: u16 = 41;

/// A small integer.
pub(super) fn small(number: i32) -> u64 {
    u64::from(number.cast_unsigned()) << 32
}

/// A heap that grows upwards.
pub(super) struct Heap {
    pub(super) memory: MadeUp,
    next: u64,
    /// The map of maps.
    maps: u64,
}

impl Default for Heap {
    fn default() -> Self {
        let mut heap = Self {
            memory: MadeUp::default(),
            next: 0x1000_0000,
            maps: 0x1000_0001,
        };
        heap.map(MAP, 10, 0);
        heap
    }
}

impl Heap {
    /// Objects of it.
    pub(super) fn objects<'a>(&'a mut self, layout: &'a Layout) -> Objects<'a, MadeUp> {
        Objects::new(layout, &mut self.memory)
    }

    /// Puts words there; the word that points to them.
    pub(super) fn put(&mut self, words: &[u64]) -> u64 {
        let at = self.next;
        self.memory.put_words(at, words);
        self.next += words.len() as u64 * 8;
        at + 1
    }

    /// A map of objects of that many words.
    pub(super) fn map(&mut self, instance_type: u16, words: u8, constructor: u64) -> u64 {
        let numbers = u64::from(words) | u64::from(instance_type) << 32;
        self.put(&[self.maps, numbers, 0, 0, constructor])
    }

    /// An object of a type, with these fields.
    pub(super) fn object(&mut self, instance_type: u16, fields: &[u64]) -> u64 {
        let map = self.map(instance_type, 0, 0);
        self.put(&[&[map], fields].concat())
    }

    pub(super) fn text(&mut self, text: &str) -> u64 {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        self.characters(ONE_BYTE, text.len(), &bytes)
    }

    pub(super) fn wide_text(&mut self, text: &str) -> u64 {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        self.characters(TWO_BYTE, units.len(), &bytes)
    }

    fn characters(&mut self, instance_type: u16, length: usize, bytes: &[u8]) -> u64 {
        let length = u64::try_from(length).expect("short") << 32;
        let words: Vec<u64> = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        self.object(instance_type, &[&[length], &words[..]].concat())
    }

    pub(super) fn joined(&mut self, first: u64, second: u64) -> u64 {
        self.object(CONS, &[0, first, second])
    }

    pub(super) fn undefined(&mut self) -> u64 {
        self.object(ODDBALL, &[])
    }

    pub(super) fn script(&mut self, name: &str, source: &str) -> u64 {
        let (source, name, undefined) = (self.text(source), self.text(name), self.undefined());
        self.object(SCRIPT, &[source, name, 0, 0, 0, 0, undefined])
    }

    /// A `SharedFunctionInfo` of a function with that many locals that begins at a position of its script.
    pub(super) fn shared(&mut self, name: u64, locals: u32, start: i32, script: u64) -> u64 {
        let undefined = self.undefined();
        let local = self.text("local");
        let mut scope = vec![0, 0, small(locals.cast_signed())];
        scope.extend((0..locals).map(|_| local));
        scope.extend((0..locals).map(|_| small(7)));
        scope.extend([name, small(-1), undefined, small(start), small(start + 9)]);
        let outer = self.object(SCOPE_INFO, &[]);
        scope.push(outer);
        let scope = self.object(SCOPE_INFO, &scope);
        self.object(SHARED, &[0, scope, 0, script])
    }

    pub(super) fn function(&mut self, shared: u64) -> u64 {
        self.object(FUNCTION, &[0, 0, shared])
    }
}
