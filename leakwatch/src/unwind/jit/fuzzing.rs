//! Any bytes, as what a program with a compiler at run time has in its memory.

use super::{DotNet, FrameMemory, JitFrames as _, NativeFrame};
use crate::{
    coreclr::fuzzing::{START, pages},
    unwind::frames::Copied,
};

/// Places in the memory that are taken for code.
const PLACES: usize = 16;

/// The bytes are all that can be read of the process; a small number in them leads to that byte of them.
pub(in crate::unwind) fn dotnet(bytes: &[u8]) {
    let pages = pages(bytes);
    // No process has this number.
    let mut memory = FrameMemory {
        pid: u32::MAX,
        stack: &Copied::new(START, &pages),
    };
    let mut frames = DotNet::default();
    let end = START + pages.len() as u64;
    for pc in (START..end).step_by(pages.len() / PLACES) {
        let frame = NativeFrame {
            pc,
            sp: START,
            fp: START,
            is_made: true,
        };
        let first = frames.functions(frame, &mut memory);
        let again = frames.functions(frame, &mut memory);
        assert_eq!(first, again, "its memory is the same");
    }
    let _ = frames.size();
}
