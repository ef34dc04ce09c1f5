//! Stacks of goroutines that wait. Go keeps frame pointers on amd64 and arm64: each points to the one before it, with the
//! return address above. All stacks are walked at once, a frame at a time.

use super::goroutines::{Goroutine, State};
use crate::runtimes::memory::Memory;

/// Frames of one stack at the most.
pub(super) const MAX_FRAMES: usize = 48;
/// A saved frame pointer and a return address, bytes.
const FRAME: usize = 16;

/// What an address on a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame with others around it.
    Frame,
    /// The last one that is wanted.
    Last,
    /// No frame.
    End,
}

/// Return addresses on each stack, innermost first; `step` says how far. Empty for who does not wait: such a stack changes
/// while it is read.
pub(super) fn walk(
    memory: &mut Memory,
    goroutines: &[&Goroutine],
    mut step: impl FnMut(u64) -> Step,
) -> Vec<Vec<u64>> {
    let mut stacks = vec![Vec::new(); goroutines.len()];
    // Those that go on, with the frame to read next.
    let mut open: Vec<(usize, u64)> = Vec::new();
    let waiting = |goroutine: &&Goroutine| goroutine.state == State::Waits;
    for (index, goroutine) in goroutines
        .iter()
        .enumerate()
        .filter(|(_, goroutine)| waiting(goroutine))
    {
        let goes_on = push(&mut stacks[index], goroutine.program_counter, &mut step);
        if goes_on && goroutine.holds(goroutine.frame_pointer) {
            open.push((index, goroutine.frame_pointer));
        }
    }
    let mut bytes = Vec::new();
    for _ in 1..MAX_FRAMES {
        let frames: Vec<u64> = open.iter().map(|&(_, frame)| frame).collect();
        memory.scattered(&frames, FRAME, &mut bytes);
        let read = open.iter().zip(bytes.chunks_exact(FRAME));
        let next = read.filter_map(|(&(index, frame), bytes)| {
            let [caller, return_address] = bytemuck::pod_read_unaligned(bytes);
            let goes_on = push(&mut stacks[index], return_address, &mut step);
            // Stacks grow down.
            (goes_on && caller > frame && goroutines[index].holds(caller)).then_some((index, caller))
        });
        open = next.collect();
        if open.is_empty() {
            break;
        }
    }
    stacks
}

impl Goroutine {
    /// Whether a frame is on its stack.
    fn holds(&self, frame: u64) -> bool {
        let end = frame.checked_add(FRAME as u64);
        frame.is_multiple_of(8) && frame >= self.stack.start && end.is_some_and(|end| end <= self.stack.end)
    }
}

fn push(stack: &mut Vec<u64>, address: u64, step: &mut impl FnMut(u64) -> Step) -> bool {
    let step = step(address);
    if step != Step::End {
        stack.push(address);
    }
    step == Step::Frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{process_stat, runtimes::target::Target};

    const CODE: u64 = 0x40_0000;

    /// Walks a stack that is made of these words, each frame pointer given as an index.
    fn stack(words: &[(usize, u64)], first: usize) -> Vec<u64> {
        let mut memory = vec![0_u64; words.len() * 2];
        let base = memory.as_ptr() as u64;
        for (index, &(caller, return_address)) in words.iter().enumerate() {
            memory[index * 2] = base + caller as u64 * 16;
            memory[index * 2 + 1] = return_address;
        }
        let goroutine = Goroutine {
            id: 1,
            state: State::Waits,
            stack: base..base + words.len() as u64 * 16,
            program_counter: CODE,
            frame_pointer: base + first as u64 * 16,
            wait_since: None,
            creator: CODE,
            start: CODE,
        };
        let mut own = Memory::of(&Target::open(process_stat::own()).expect("alive"));
        let step = |address| match address {
            0x40_0009 => Step::Last,
            CODE..0x50_0000 => Step::Frame,
            _ => Step::End,
        };
        walk(&mut own, &[&goroutine], step).remove(0)
    }

    #[test]
    fn from_the_innermost_to_the_last_one_wanted() {
        let words = [(1, 0x40_0001), (2, 0x40_0002), (3, 0x40_0009), (4, 0x40_0004)];
        assert_eq!(stack(&words, 0), [CODE, 0x40_0001, 0x40_0002, 0x40_0009]);
    }

    #[test]
    fn broken_links_end_it() {
        let back = [(1, 0x40_0001), (0, 0x40_0002)];
        assert_eq!(stack(&back, 0), [CODE, 0x40_0001, 0x40_0002], "a circle");
        let outside = [(9, 0x40_0001), (2, 0x40_0002)];
        assert_eq!(stack(&outside, 0), [CODE, 0x40_0001]);
        assert_eq!(stack(&[(1, 7), (2, 0x40_0002)], 0), [CODE], "no code");
        assert_eq!(stack(&[(1, 0x40_0001)], 9), [CODE], "no frame");
    }
}
