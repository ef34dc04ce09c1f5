//! Frames of CPython as functions: code objects are read from memory.

use leakwatch_common::interpreter::FrameWords;

use super::{
    layout::Position,
    lines,
    process::{Process, type_of},
    text,
};
use crate::{
    model::stack::Function,
    runtimes::{interpreters::ReadsFrames, memory::Memory},
};

/// Longest line table that is read, bytes. One byte is a few instructions.
const MAX_LINES: u64 = 64 << 10;
/// `PyVarObject.ob_size` and what follows it in a `PyBytesObject`.
const SIZE: u64 = 16;
const BYTES: u64 = 32;

/// Files of code that the interpreter makes for itself: frames that lead from C to Python, and from a class to its `__init__`
/// (Objects/codeobject.c, Python/specialize.c of 3.12 and 3.13).
const NOT_FILES: &[&str] = &["", "<shim>", "__init__"];

/// Reads code objects of one process.
pub(super) struct CodeReader(pub(super) Process);

impl ReadsFrames for CodeReader {
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function> {
        let CodeReader(process) = self;
        let code = words.code;
        if type_of(memory, code)? != process.code_type {
            return None;
        }
        let at = &process.layout.code;
        let text = |memory: &mut Memory, offset: u64| {
            let object = memory.value(code.wrapping_add(offset)).ok()?;
            text::read(memory, object, process.layout.ascii_size).ok()
        };
        let file = text(memory, at.filename)?;
        if NOT_FILES.contains(&file.as_str()) {
            return None;
        }
        Some(Function {
            name: text(memory, at.qualname.unwrap_or(at.name))?,
            line: self.line(memory, words),
            file: Some(file),
        })
    }
}

impl CodeReader {
    fn line(&self, memory: &mut Memory, words: FrameWords) -> Option<u32> {
        let FrameWords { code, position } = words;
        let CodeReader(process) = self;
        let at = &process.layout.code;
        // `f_lasti` is an int, and -1 before the first instruction.
        let last = position & 0xffff_ffff;
        let last = (last <= u64::from(i32::MAX.unsigned_abs())).then_some(last);
        let offset = match process.layout.frame.is {
            Position::Bytes => last?,
            Position::Instructions => last? * 2,
            Position::Address { bytecode } => position.checked_sub(code.wrapping_add(bytecode))?,
        };
        let first_line = memory.value(code.wrapping_add(at.first_line)).ok()?;
        let table: u64 = memory.value(code.wrapping_add(at.lines)).ok()?;
        let length: u64 = memory.value(table.wrapping_add(SIZE)).ok()?;
        let mut bytes = vec![0; usize::try_from(length.min(MAX_LINES)).ok()?];
        memory.read(table.wrapping_add(BYTES), &mut bytes).ok()?;
        lines::line(at.format, &bytes, first_line, offset)
    }
}
