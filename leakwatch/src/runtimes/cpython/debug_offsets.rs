//! What CPython says of its own layout since 3.13: `_Py_DebugOffsets`, which `_PyRuntime` begins with
//! (Include/internal/pycore_debug_offsets.h).

use super::layout::{Collector, Layout, Position};
use crate::runtimes::{Unknown, memory::Memory};

/// The first minor version that has it.
pub(super) const FIRST_MINOR: u32 = 13;

const COOKIE: u64 = u64::from_ne_bytes(*b"xdebugpy");
/// Words up to the end of `code_object`, as 3.13 has them.
const WORDS: usize = 44;
/// From `gc` to `gc.generations`, which it does not say.
const GENERATIONS: u64 = 24;
/// No structure is larger.
const MAX_OFFSET: u64 = 1 << 20;

/// The words of `_Py_DebugOffsets`.
pub(super) struct DebugOffsets([u64; WORDS]);

impl DebugOffsets {
    /// Those of the process whose `_PyRuntime` is there.
    ///
    /// # Errors
    /// When they are not there.
    pub(super) fn read(memory: &mut Memory, runtime: u64) -> Result<Self, Unknown> {
        let mut words = [0; WORDS];
        memory.read(runtime, bytemuck::cast_slice_mut(&mut words))?;
        if words[0] == COOKIE {
            Ok(Self(words))
        } else {
            Err(Unknown::Layout("`_PyRuntime` does not begin with its cookie"))
        }
    }

    /// Whether the interpreter was built without a global lock: it has another collector and other objects.
    pub(super) fn is_free_threaded(&self) -> bool {
        self.0[2] != 0
    }

    /// The layout of its minor version, corrected by what it says.
    ///
    /// # Errors
    /// When an offset cannot be one.
    pub(super) fn correct(&self, layout: Layout) -> Result<Layout, Unknown> {
        let at = |word: usize| match self.0[word] {
            offset if offset < MAX_OFFSET && offset.is_multiple_of(4) => Ok(offset),
            _ => Err(Unknown::Layout("an offset in `_Py_DebugOffsets` cannot be one")),
        };
        let short = |word: usize| at(word).map(|offset| u32::try_from(offset).unwrap_or(0));
        let mut corrected = layout;
        corrected.runtime.interpreters_head = at(5)?;
        corrected.interpreter.next = short(8)?;
        corrected.interpreter.threads_head = short(9)?;
        corrected.interpreter.collector = Collector::OfInterpreter(at(10)? + GENERATIONS);
        corrected.thread.next = short(21)?;
        corrected.thread.interpreter = short(22)?;
        corrected.thread.frame = short(23)?;
        corrected.thread.thread_id = short(24)?;
        corrected.frame.previous = short(29)?;
        corrected.frame.code = short(30)?;
        corrected.frame.position = short(31)?;
        corrected.code.filename = at(35)?;
        corrected.code.name = at(36)?;
        corrected.code.qualname = Some(at(37)?);
        corrected.code.lines = at(38)?;
        corrected.code.first_line = at(39)?;
        corrected.frame.is = Position::Address { bytecode: at(43)? };
        Ok(corrected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        process_stat,
        runtimes::{cpython::layout, target::Target},
    };

    fn read(words: &[u64; WORDS]) -> Result<DebugOffsets, Unknown> {
        let target = Target::open(process_stat::own()).expect("alive");
        DebugOffsets::read(&mut Memory::of(&target), words.as_ptr() as u64)
    }

    #[test]
    fn another_cookie_is_refused() {
        assert!(matches!(read(&[7; WORDS]), Err(Unknown::Layout(_))));
    }

    #[test]
    fn offsets_that_cannot_be_are_refused() {
        let layout = layout::of(13).expect("known");
        let mut words = [8; WORDS];
        words[0] = COOKIE;
        let corrected = read(&words)
            .expect("the cookie")
            .correct(layout)
            .expect("plausible");
        assert_eq!(
            (corrected.runtime.interpreters_head, corrected.thread.frame),
            (8, 8)
        );
        for broken in [u64::MAX, MAX_OFFSET, 7] {
            words[23] = broken;
            assert!(read(&words).expect("the cookie").correct(layout).is_err());
        }
    }
}
