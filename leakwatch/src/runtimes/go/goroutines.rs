//! Goroutines, as `runtime.allgs` lists them: every one that ever was, the dead ones waiting to be used again.

use std::ops::Range;

use super::layout::{Layout, PROGRAM_COUNTER, STACK_HIGH, STACK_LOW, STACK_POINTER};
use crate::runtimes::{Unknown, memory::Memory};

/// Goroutines that are looked at in one census; of more, as many evenly spread over the list.
const MAX_LOOKED_AT: usize = 200_000;
/// Longest list that is believed.
const MAX_LISTED: u64 = 1 << 24;
/// Structures that are read with one call.
const BATCH: usize = 4096;
/// `maxstacksize` of 64-bit programs.
const MAX_STACK: u64 = 1 << 30;

/// A slice of pointers: `runtime.allgs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) address: u64,
    pub(super) length: u64,
    pub(super) capacity: u64,
}

impl Slice {
    /// `None` when it cannot be a list of goroutines.
    pub(super) fn parse([address, length, capacity]: [u64; 3]) -> Option<Self> {
        let is_list = address != 0
            && address.is_multiple_of(8)
            && (1..=MAX_LISTED).contains(&capacity)
            && (1..=capacity).contains(&length)
            && address.checked_add(capacity * 8).is_some();
        is_list.then_some(Self {
            address,
            length,
            capacity,
        })
    }
}

/// What a goroutine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// On a CPU, or ready to be.
    Runs,
    /// In a system call.
    Calls,
    /// For something that the runtime knows.
    Waits,
}

/// A goroutine that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goroutine {
    pub(super) id: u64,
    pub(super) state: State,
    pub(super) stack: Range<u64>,
    /// Where it goes on when it next runs; as old as its last stop while it runs.
    pub(super) program_counter: u64,
    pub(super) frame_pointer: u64,
    /// The first collection that found it waiting, nanoseconds of `CLOCK_MONOTONIC`; `None` before one did.
    pub(super) wait_since: Option<u64>,
    /// Where the call returns that started it.
    pub(super) creator: u64,
    /// Entry of its first function.
    pub(super) start: u64,
}

/// What is at a place where a goroutine should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Alive(Goroutine),
    Dead,
    Broken,
}

/// Those that live.
pub(super) struct Goroutines {
    pub(super) alive: Vec<Goroutine>,
    pub(super) looked_at: usize,
    /// Dead ones included.
    pub(super) listed: usize,
}

impl Slot {
    /// Reads a `g`.
    pub(super) fn parse(bytes: &[u8], layout: &Layout, is_code: impl Fn(u64) -> bool) -> Self {
        let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let status = bytes.get(layout.status..).and_then(|status| status.first_chunk());
        let Some(status) = status.map(|status| u32::from_le_bytes(*status)) else {
            return Self::Broken;
        };
        // `_Gscan` is set while the collector looks at its stack.
        let state = match status & !0x1000 {
            // Preempted, or its stack is being copied.
            1 | 2 | 8 | 9 => State::Runs,
            3 => State::Calls,
            // 10 since Go 1.26: nothing that lives can wake it, as the collector found.
            4 | 10 => State::Waits,
            0 | 6 | 11 => return Self::Dead,
            _ => return Self::Broken,
        };
        let goroutine = || {
            let stack = word(STACK_LOW)?..word(STACK_HIGH)?;
            let size = stack.end.checked_sub(stack.start)?;
            let (id, start) = (word(layout.id)?, word(layout.start)?);
            let program_counter = word(PROGRAM_COUNTER)?;
            let waits_there = stack.contains(&word(STACK_POINTER)?) && is_code(program_counter);
            let is_one = (1..1 << 48).contains(&id)
                && (1..=MAX_STACK).contains(&size)
                && is_code(start)
                && (state != State::Waits || waits_there);
            is_one.then_some(Goroutine {
                id,
                state,
                stack,
                program_counter,
                frame_pointer: word(layout.frame_pointer)?,
                wait_since: word(layout.wait_since).filter(|&since| since != 0),
                creator: word(layout.creator)?,
                start,
            })
        };
        goroutine().map_or(Self::Broken, Self::Alive)
    }
}

/// Reads those that a list holds.
///
/// # Errors
/// When the list cannot be read, or holds something else.
pub(super) fn read(
    memory: &mut Memory,
    list: Slice,
    layout: &Layout,
    is_code: impl Fn(u64) -> bool,
) -> Result<Goroutines, Unknown> {
    let listed = usize::try_from(list.length).unwrap_or(usize::MAX);
    let mut pointers = vec![0; listed * 8];
    memory.read(list.address, &mut pointers)?;
    let pointers: Vec<u64> = pointers
        .chunks_exact(8)
        .map(bytemuck::pod_read_unaligned)
        .collect();
    let looked_at = listed.min(MAX_LOOKED_AT);
    let chosen: Vec<u64> = (0..looked_at)
        .map(|index| pointers[index * listed / looked_at])
        .collect();
    let (mut alive, mut broken) = (Vec::new(), 0);
    let mut bytes = Vec::new();
    for batch in chosen.chunks(BATCH) {
        memory.scattered(batch, layout.goroutine_size(), &mut bytes);
        for slot in bytes.chunks_exact(layout.goroutine_size()) {
            match Slot::parse(slot, layout, &is_code) {
                Slot::Alive(goroutine) => alive.push(goroutine),
                Slot::Dead => {}
                Slot::Broken => broken += 1,
            }
        }
    }
    // One may be caught between two of its states.
    if broken > looked_at / 50 + 8 {
        return Err(Unknown::Layout("most of its goroutines are none"));
    }
    Ok(Goroutines {
        alive,
        looked_at,
        listed,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODE: Range<u64> = 0x40_0000..0x50_0000;

    fn layout() -> &'static Layout {
        Layout::of("go1.22").expect("known")
    }

    fn waiting() -> Vec<u8> {
        let layout = layout();
        let mut bytes = vec![0; layout.goroutine_size()];
        let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(STACK_LOW, 0xc000_0000);
        put(STACK_HIGH, 0xc000_0800);
        put(STACK_POINTER, 0xc000_0700);
        put(PROGRAM_COUNTER, 0x40_1000);
        put(layout.frame_pointer, 0xc000_0720);
        put(layout.status, 4);
        put(layout.id, 18);
        put(layout.wait_since, 5_000);
        put(layout.creator, 0x40_2000);
        put(layout.start, 0x40_3000);
        bytes
    }

    fn parse(bytes: &[u8]) -> Slot {
        Slot::parse(bytes, layout(), |address| CODE.contains(&address))
    }

    #[test]
    fn one_that_waits() {
        let Slot::Alive(goroutine) = parse(&waiting()) else {
            panic!("it is alive")
        };
        assert_eq!((goroutine.id, goroutine.state), (18, State::Waits));
        assert_eq!(goroutine.wait_since, Some(5_000));
        assert_eq!((goroutine.creator, goroutine.start), (0x40_2000, 0x40_3000));
        assert_eq!(goroutine.frame_pointer, 0xc000_0720);
    }

    #[test]
    fn what_is_no_goroutine() {
        let with = |at: usize, word: u64| {
            let mut bytes = waiting();
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            parse(&bytes)
        };
        assert_eq!(with(layout().status, 6), Slot::Dead);
        assert!(
            matches!(with(layout().status, 0x1004), Slot::Alive(_)),
            "being scanned"
        );
        assert_eq!(with(layout().status, 7), Slot::Broken);
        assert_eq!(with(layout().id, 0), Slot::Broken);
        assert_eq!(with(STACK_POINTER, 0xc000_0900), Slot::Broken);
        assert_eq!(with(STACK_HIGH, 0), Slot::Broken);
        assert_eq!(with(layout().start, 8), Slot::Broken);
        assert_eq!(parse(&waiting()[..100]), Slot::Broken);
    }

    #[test]
    fn lists_that_cannot_be() {
        assert!(Slice::parse([0xc000_0000, 3, 4]).is_some());
        for broken in [
            [0, 3, 4],
            [4, 3, 4],
            [8, 0, 4],
            [8, 5, 4],
            [8, 1, u64::MAX],
            [u64::MAX - 7, 1, 1],
        ] {
            assert_eq!(Slice::parse(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn nonsense_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }
    }
}
