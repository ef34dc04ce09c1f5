//! Any bytes, read as each thing that CPython keeps.

use leakwatch_common::interpreter::FrameWords;

use super::{
    census,
    code::CodeReader,
    debug_offsets::{self, DebugOffsets},
    layout, lines,
    process::Process,
};
use crate::runtimes::{fuzzing::memory_of, interpreters::ReadsFrames as _, memory::Memory};

const MINORS: std::ops::Range<u32> = 8..14;

/// The bytes become memory of this process, as of [`memory_of`].
pub(in crate::runtimes) fn read(bytes: &[u8]) {
    let words = memory_of(bytes);
    let start = words.as_ptr() as u64;
    let count = words.len() as u64;
    let mut memory = Memory::of_process(std::process::id());
    for minor in MINORS {
        let Some(mut layout) = layout::of(minor) else {
            continue;
        };
        if minor >= debug_offsets::FIRST_MINOR
            && let Ok(corrected) =
                DebugOffsets::read(&mut memory, start).and_then(|offsets| offsets.correct(layout))
        {
            layout = corrected;
        }
        let process = Process {
            layout,
            runtime: start,
            code_type: start,
            type_type: start,
            code: start,
        };
        lines::line(layout.code.format, bytes, 1, count);
        let _ = census::objects(&process, &mut memory);
        let frames = CodeReader(process);
        for pair in words.chunks_exact(2) {
            let words = FrameWords {
                code: pair[0],
                position: pair[1],
            };
            let _ = frames.function(&mut memory, words);
        }
    }
}
