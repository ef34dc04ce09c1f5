//! From registers and a copied stack to frames.

use std::sync::Arc;

use framehop::{CacheNative, Error, FrameAddress, MayAllocateDuringUnwind, UnwindRegsNative, Unwinder as _};

use super::{
    Registers, arch,
    cfi::{FrameUnwinder, Tables},
    jit::{Caller, NativeFrame},
};
use crate::model::stack::{CodeAddress, ModuleKind, StackEnd};

/// Most frames of a stack.
pub(super) const MAX_FRAMES: usize = 256;
/// A read this far beyond the end of the copy is meant for the rest of the stack (8 MiB by default); one farther away is
/// not for the stack at all.
const MAX_BEYOND: u64 = 16 << 20;
/// An odd frame pointer that no thread has.
const NO_FRAME: u64 = 1;

/// Where an address is.
pub(super) struct Place {
    pub(super) at: CodeAddress,
    /// The address in the process.
    pub(super) pc: u64,
    pub(super) kind: ModuleKind,
    /// It was linked by Go's linker.
    pub(super) is_go: bool,
    pub(super) rules: Rules,
}

/// How to find the caller.
pub(super) enum Rules {
    Tables(Arc<Tables>),
    /// There are no tables: a compiler that keeps frame pointers (Go, most JIT compilers) or bad luck.
    ///
    /// HotSpot's compilers keep none. The next word on the stack that points behind a call does not find their callers:
    /// their frames are full of return addresses of earlier calls, and their interpreter's callees do not return behind a
    /// call. Measured against `-XX:+PreserveFramePointer`, one guess in three was wrong though it led on to the end.
    FramePointer,
    /// The file cannot be read now.
    Unreadable,
}

enum Step {
    Caller(Place),
    Outermost,
    CopyEnded,
    Lost,
    /// The frame pointer that had to be followed is 0.
    NoFramePointer,
}

/// The code of the process whose stack is walked.
pub(super) trait Code {
    /// The place of an address.
    fn locate(&mut self, address: u64) -> Option<Place>;

    /// Who has called a frame in code that was made at run time, if whoever made it knows.
    fn caller(&mut self, place: &Place, frame: NativeFrame, stack: &Copied<'_>) -> Option<Caller>;

    /// Appends the frames that stand for the functions that an interpreter or a compiler at run time runs in a frame;
    /// `false` when the frame is none of theirs.
    fn functions(
        &mut self,
        place: &Place,
        frame: NativeFrame,
        stack: &Copied<'_>,
        frames: &mut Vec<CodeAddress>,
    ) -> bool;
}

/// Walks stacks; remembers the rules of code that it met lately, of all processes.
#[derive(Default)]
pub(super) struct Walker {
    cache: CacheNative<MayAllocateDuringUnwind>,
    /// Knows no module, so it follows frame pointers.
    no_tables: FrameUnwinder,
}

/// What was copied of a stack.
pub(super) struct Copied<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl<'a> Copied<'a> {
    /// What was copied from `start` on.
    pub(super) fn new(start: u64, bytes: &'a [u8]) -> Self {
        Self { start, bytes }
    }

    pub(super) fn read(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(offset..offset.checked_add(length)?)
    }

    /// What it means that a read at `address` failed.
    fn missing(&self, address: u64) -> Step {
        let end = self.start.saturating_add(self.bytes.len() as u64);
        let beyond = address.saturating_add(8).checked_sub(end);
        if address >= self.start && beyond.is_some_and(|beyond| beyond <= MAX_BEYOND) {
            Step::CopyEnded
        } else {
            Step::Lost
        }
    }
}

impl Walker {
    /// Appends the frames.
    pub(super) fn walk(
        &mut self,
        registers: Registers,
        memory: &[u8],
        code: &mut dyn Code,
        frames: &mut Vec<CodeAddress>,
    ) -> StackEnd {
        let stack = Copied::new(registers.sp, memory);
        let mut state = arch::state(&registers);
        let Some(mut place) = code.locate(registers.pc) else {
            return StackEnd::Lost;
        };
        let mut steps = 0;
        loop {
            steps += 1;
            let frame = NativeFrame {
                pc: place.pc,
                sp: arch::stack_pointer(&state),
                fp: arch::frame_pointer(&state),
                is_made: place.kind == ModuleKind::Anonymous,
            };
            let known = frame
                .is_made
                .then(|| code.caller(&place, frame, &stack))
                .flatten();
            let step = if let Some(known) = known {
                state = arch::returned(state, known);
                caller(known.pc, code)
            } else if steps == 1 {
                self.first_step(&place, &mut state, &stack, code)
            } else {
                let address = FrameAddress::from_return_address(place.at.address.wrapping_add(1));
                let step = address.map(|address| self.step(address, &place.rules, &mut state, &stack, code));
                step.unwrap_or(Step::Lost)
            };
            // A function without a frame pointer of its own has its caller's: the frame that it points to is the caller's.
            let is_own = known.is_some()
                || !matches!(step, Step::Caller(_))
                || arch::frame_pointer(&state) != frame.fp;
            if !is_own || !code.functions(&place, frame, &stack, frames) {
                frames.push(place.at);
            }
            frames.truncate(MAX_FRAMES);
            match step {
                Step::Caller(_) if frames.len() == MAX_FRAMES => return StackEnd::TooDeep,
                Step::Caller(caller) => place = caller,
                Step::CopyEnded => return StackEnd::CopyEnded,
                Step::Outermost => return StackEnd::Outermost,
                // A frame pointer of 0 ends a chain of them if there was one; code of compilers at run time may use that
                // register for something else.
                Step::NoFramePointer if registers.fp != 0 && place.kind != ModuleKind::Anonymous => {
                    return StackEnd::Outermost;
                }
                // Go keeps frame pointers everywhere. One that leads out of the stack was left there by the code that runs on
                // another stack of the same thread (`mcall`, `mstart`); no caller is on this one.
                Step::Lost if place.is_go && steps > 1 => return StackEnd::Outermost,
                Step::NoFramePointer | Step::Lost => return StackEnd::Lost,
            }
        }
    }

    fn first_step(
        &mut self,
        place: &Place,
        state: &mut UnwindRegsNative,
        stack: &Copied<'_>,
        code: &mut dyn Code,
    ) -> Step {
        let address = FrameAddress::from_instruction_pointer(place.at.address);
        let before = *state;
        let step = match place.rules {
            Rules::Unreadable => return Step::Lost,
            Rules::Tables(_) => self.step(address, &place.rules, state, stack, code),
            // A function that calls no other one may have no frame: then the return address is where the call left it.
            Rules::FramePointer => match arch::leaf(state, |address| stack.read(address)) {
                Some(return_address) if return_address != 0 => caller(return_address, code),
                _ => Step::Lost,
            },
        };
        if matches!(step, Step::Caller(_) | Step::CopyEnded) {
            return step;
        }
        // Code without tables in a file that has some, as Go's next to C, is taken for a function without a frame.
        let mut other = before;
        match self.step(address, &Rules::FramePointer, &mut other, stack, code) {
            Step::Caller(caller) => {
                *state = other;
                Step::Caller(caller)
            }
            _ => step,
        }
    }

    fn step(
        &mut self,
        address: FrameAddress,
        rules: &Rules,
        state: &mut UnwindRegsNative,
        stack: &Copied<'_>,
        code: &mut dyn Code,
    ) -> Step {
        let unwinder = match rules {
            Rules::Tables(tables) => &tables.unwinder,
            Rules::FramePointer => &self.no_tables,
            Rules::Unreadable => return Step::Lost,
        };
        let before = *state;
        let mut failed = None;
        let mut read = |at| {
            let read = stack.read(at);
            // In the first frame the tables may name a slot below the stack pointer, where it was popped already.
            if read.is_none() && (address.is_return_address() || at >= stack.start) {
                failed.get_or_insert(at);
            }
            read.ok_or(())
        };
        let result = unwinder.unwind_frame(address, state, &mut self.cache, &mut read);
        if let Some(failed) = failed {
            if result != Err(Error::CouldNotReadStack(failed)) {
                // framehop took it for a fault in the tables and remembers to follow the frame pointer from there.
                self.cache = CacheNative::new();
            }
            return stack.missing(failed);
        }
        match result {
            Ok(Some(return_address)) => caller(return_address, code),
            Ok(None) | Err(Error::FramepointerUnwindingMovedBackwards)
                if arch::frame_pointer(&before) == 0 =>
            {
                // Did the tables say so, or was a frame pointer of 0 followed? Then another one leads nowhere.
                let mut odd = arch::with_frame_pointer(before, NO_FRAME);
                let mut read = |at| stack.read(at).ok_or(());
                match unwinder.unwind_frame(address, &mut odd, &mut self.cache, &mut read) {
                    Ok(None) => Step::Outermost,
                    _ => Step::NoFramePointer,
                }
            }
            Ok(None) => Step::Outermost,
            Err(_) => Step::Lost,
        }
    }
}

fn caller(return_address: u64, code: &mut dyn Code) -> Step {
    match return_address.checked_sub(1) {
        None => Step::Outermost,
        Some(call) => code.locate(call).map_or(Step::Lost, Step::Caller),
    }
}
