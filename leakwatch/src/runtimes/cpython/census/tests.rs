//! Objects that are laid out here as CPython 3.12 does, and what a walk makes of them when they are broken.

use super::*;
use crate::runtimes::cpython::layout;

/// Words of a head of a generation, and of an object with its `PyGC_Head`.
const WORDS: usize = 7;

/// A type `type`, a type of things, and a list of things; in this order in one vector, so that addresses can be computed.
struct Heap {
    words: Vec<u64>,
}

const TYPE_WORDS: usize = 52;
const THING_TYPE: usize = TYPE_WORDS;
const HEAD_AT: usize = 2 * TYPE_WORDS;

impl Heap {
    fn with_things(count: usize) -> Self {
        let mut heap = Self {
            words: vec![0; HEAD_AT + (count + 1) * WORDS],
        };
        let type_type = heap.address(0);
        for start in [0, THING_TYPE] {
            heap.words[start + 1] = type_type;
            heap.words[start + 3] = c"Thing".as_ptr() as u64;
            heap.words[start + 4] = 48;
            heap.words[start + 21] = 1 << 14;
        }
        for index in 0..=count {
            let at = HEAD_AT + index * WORDS;
            heap.words[at] = heap.thing((index + 1) % (count + 1));
            heap.words[at + 1] = heap.thing((index + count) % (count + 1));
            heap.words[at + 2] = 1;
            heap.words[at + 3] = heap.address(THING_TYPE);
        }
        heap
    }

    fn address(&self, word: usize) -> u64 {
        &raw const self.words[word] as u64
    }

    /// The head is number 0.
    fn thing(&self, number: usize) -> u64 {
        self.address(HEAD_AT + number * WORDS)
    }

    fn set(&mut self, number: usize, word: usize, value: u64) {
        self.words[HEAD_AT + number * WORDS + word] = value;
    }

    /// What was counted, and why not all.
    fn walk(&self) -> (Result<u64, String>, Option<&'static str>) {
        self.walk_with(&mut Memory::of_process(std::process::id()))
    }

    fn walk_with(&self, memory: &mut Memory) -> (Result<u64, String>, Option<&'static str>) {
        let process = Process {
            layout: layout::of(12).expect("known"),
            runtime: 0,
            code_type: 0,
            type_type: self.address(0),
            code: 0,
        };
        let mut walk = Walk::new(&process, memory);
        let walked = walk.list(self.thing(0)).map_err(|error| error.to_string());
        (walked.map(|()| walk.objects), walk.incomplete)
    }
}

#[test]
fn every_object_once() {
    assert_eq!(Heap::with_things(0).walk(), (Ok(0), None));
    assert_eq!(Heap::with_things(1000).walk(), (Ok(1000), None));
}

#[test]
fn marks_of_the_collector_are_no_part_of_a_link() {
    let mut heap = Heap::with_things(3);
    let next = heap.thing(3);
    heap.set(2, 0, next | 1);
    assert_eq!(heap.walk(), (Ok(3), None));
}

#[test]
fn rows_are_by_type_with_bytes() {
    let heap = Heap::with_things(10);
    let process = Process {
        layout: layout::of(12).expect("known"),
        runtime: 0,
        code_type: 0,
        type_type: heap.address(0),
        code: 0,
    };
    let mut memory = Memory::of_process(std::process::id());
    let mut walk = Walk::new(&process, &mut memory);
    walk.list(heap.thing(0)).expect("a list");
    let rows = walk.rows();
    let row = &rows[0];
    assert_eq!(
        (rows.len(), row.name.as_str(), row.count, row.bytes),
        (1, "Thing", 10, Some(640))
    );
}

#[test]
fn a_broken_link_is_mended_from_the_last_that_is_still_there() {
    let mut heap = Heap::with_things(10);
    heap.set(5, 0, 0);
    let (counted, incomplete) = heap.walk();
    assert_eq!(counted, Ok(4), "nothing before leads past it");
    assert!(incomplete.is_some());
    // Number 5 is taken out of the list after number 4 was read.
    let mut memory = Memory::of_process(std::process::id());
    memory.cached::<u64>(heap.thing(4)).expect("own memory");
    let after = heap.thing(6);
    heap.set(4, 0, after);
    assert_eq!(heap.walk_with(&mut memory), (Ok(9), None));
}

#[test]
fn broken_heads_and_types_are_said_and_not_walked() {
    let mut heap = Heap::with_things(10);
    let elsewhere = heap.thing(7);
    heap.set(0, 0, elsewhere);
    assert!(heap.walk().0.is_err(), "the first one does not lead back");
    let mut heap = Heap::with_things(10);
    heap.set(0, 0, 8);
    assert!(heap.walk().0.is_err(), "no memory");
    let mut heap = Heap::with_things(10);
    heap.set(6, 3, 0x10);
    assert!(heap.walk().1.is_some(), "no type");
    let mut heap = Heap::with_things(10);
    heap.words[THING_TYPE + 1] = heap.address(THING_TYPE);
    assert_eq!(heap.walk().0, Ok(0), "a type that is its own type");
}

#[test]
fn a_ring_without_the_head_ends() {
    let mut heap = Heap::with_things(10);
    let back = heap.thing(3);
    heap.set(9, 0, back);
    assert!(heap.walk().0.is_err());
}
