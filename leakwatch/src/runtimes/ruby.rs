//! Methods and blocks of Ruby scripts. Each thread has an execution context (`rb_execution_context_t`) in its thread-local
//! `ruby_current_ec`, and control frames on that one's stack, the innermost lowest (vm_core.h).

use leakwatch_common::{
    interpreter::{FrameWords, Interpreter, Search},
    settings::ABSENT,
};

use super::{
    Unknown,
    interpreters::{Followed, Interpreted, ReadsFrames},
    memory::Memory,
    target::Target,
    thread_local,
};
use crate::model::stack::Function;

const NAME: &str = crate::model::runtime::RUBY;

/// Bits of `RBasic.flags`: the type, and which internal object it is (include/ruby/internal/value_type.h, internal/imemo.h).
const TYPE_MASK: u64 = 0x1f;
const STRING: u64 = 5;
const ARRAY: u64 = 7;
const ISEQ_MASK: u64 = 0xf01f;
const ISEQ: u64 = 0x701a;
/// `RSTRING_NOEMBED` and where the length of an embedded string is; `RARRAY_EMBED_FLAG`.
const STRING_ELSEWHERE: u64 = 1 << 13;
const STRING_LENGTH_SHIFT: u64 = 14;
const ARRAY_EMBEDDED: u64 = 1 << 13;
/// `struct RString` and `struct RArray`: behind the flags and the class.
const CONTENTS: u64 = 16;
const POINTER: u64 = 24;
const ARRAY_POINTER: u64 = 32;
/// A word of the stack, and a `rb_control_frame_t`.
const WORD: u32 = 8;
const FRAME: u32 = 64;

/// `struct succ_index_table` (iseq.c): positions below the first number have ranks of 7 bits, nine in a word; those above are
/// in blocks of 512 bits with a rank of 32 bits, seven ranks of 9 bits, and the bits.
const IMMEDIATE: u64 = 54;
const RANKS: u64 = 48;
const BLOCK: u64 = 80;
const BLOCK_BITS: u64 = 512;

/// Offsets of a series, for 64-bit Linux.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// `rb_vm_t.ractor`
    main_ractor: u64,
    main_thread: u64,
    /// `rb_thread_t`
    ractor: u64,
    vm: u64,
    ec: u64,
    thread_id: u64,
    /// `rb_execution_context_t`
    stack: u32,
    stack_words: u32,
    innermost: u32,
    /// `rb_control_frame_t`
    pc: u32,
    iseq: u32,
    /// `rb_iseq_t.body`
    body: u64,
    /// `struct rb_iseq_constant_body`
    encoded: u64,
    path: u64,
    label: u64,
    lines: u64,
    lines_size: u64,
    lines_index: u64,
    /// Size of `struct iseq_insn_info_entry`, which begins with the line.
    line_size: u64,
}

const LAYOUTS: &[(&str, Layout)] = &[(
    "3.1",
    Layout {
        main_ractor: 32,
        main_thread: 40,
        ractor: 24,
        vm: 32,
        ec: 40,
        thread_id: 80,
        stack: 0,
        stack_words: 8,
        innermost: 16,
        pc: 0,
        iseq: 16,
        body: 16,
        encoded: 8,
        path: 64,
        label: 80,
        lines: 120,
        lines_size: 136,
        lines_index: 144,
        line_size: 12,
    },
)];

/// Ruby, of the C implementation.
pub(super) struct Ruby;

impl Interpreted for Ruby {
    fn name(&self) -> &'static str {
        NAME
    }

    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown> {
        let layout = *target.of_series("Ruby", LAYOUTS)?;
        let (mapping, binary) = target
            .definer("ruby_current_vm_ptr", "libruby")
            .ok_or(Unknown::Layout("a symbol is missing"))?;
        let vm = binary.symbol("ruby_current_vm_ptr");
        let vm = vm.ok_or(Unknown::Layout("a symbol is missing"))?.address;
        let thread_local = layout.thread_local(memory, vm)?;
        Ok(Followed {
            interpreter: Interpreter {
                search: Search::ThreadLocal as u32,
                thread_local,
                frame: layout.innermost,
                frame_previous: ABSENT,
                frame_stride: FRAME.cast_signed(),
                frame_code: layout.iseq,
                frame_position: layout.pc,
                stack_start: layout.stack,
                stack_elements: layout.stack_words,
                stack_element: WORD,
                // The outermost frame is of no function: it is there for what would look for a caller.
                stack_unused: 2 * FRAME,
                ..Interpreter::default()
            },
            code: target.code_of(mapping)?,
            frames: Box::new(Frames(layout)),
        })
    }
}

impl Layout {
    /// Where threads have `ruby_current_ec`, from their thread pointers: seen from the main thread's.
    fn thread_local(&self, memory: &mut Memory, vm_pointer: u64) -> Result<i32, Unknown> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Unknown::NotKept("threads of Ruby are known on x86-64 only"));
        }
        let vm: u64 = memory.value(vm_pointer)?;
        if vm == 0 {
            return Err(Unknown::NotKept("it has not started yet"));
        }
        let ractor: u64 = memory.value(vm.wrapping_add(self.main_ractor))?;
        let thread: u64 = memory.value(vm.wrapping_add(self.main_thread))?;
        let mut of_thread = |offset: u64| memory.value::<u64>(thread.wrapping_add(offset));
        if (of_thread(self.vm)?, of_thread(self.ractor)?) != (vm, ractor) {
            return Err(Unknown::Layout("its main thread is not its own"));
        }
        let (ec, id) = (of_thread(self.ec)?, of_thread(self.thread_id)?);
        let mut of_ec = |offset: u32| memory.value::<u64>(ec.wrapping_add(offset.into()));
        let (stack, words, innermost) = (
            of_ec(self.stack)?,
            of_ec(self.stack_words)?,
            of_ec(self.innermost)?,
        );
        let end = stack.wrapping_add(words.wrapping_mul(WORD.into()));
        let is_frame = (stack..=end).contains(&innermost) && (end - innermost).is_multiple_of(FRAME.into());
        if !is_frame {
            return Err(Unknown::Layout("the innermost frame is not on its stack"));
        }
        let mut seen = thread_local::distances(memory, id, ec);
        // What lies above is the C library's.
        seen.retain(|distance| *distance < 0);
        match seen[..] {
            [distance] => Ok(distance),
            _ => Err(Unknown::Layout("its threads do not say what they run")),
        }
    }
}

/// Reads `rb_iseq_t`s: compiled methods, blocks, and files.
pub(super) struct Frames(Layout);

impl ReadsFrames for Frames {
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function> {
        let Self(at) = self;
        // 0 of methods in C.
        if words.code == 0 || flags(memory, words.code)? & ISEQ_MASK != ISEQ {
            return None;
        }
        let body: u64 = memory.value(words.code.wrapping_add(at.body)).ok()?;
        let label = memory.value(body.wrapping_add(at.label)).ok()?;
        let path = memory.value(body.wrapping_add(at.path)).ok()?;
        Some(Function {
            name: string(memory, label)?,
            file: Some(path_of(memory, path)?),
            line: self.line(memory, body, words.position),
        })
    }
}

impl Frames {
    /// As `rb_iseq_line_no`.
    fn line(&self, memory: &mut Memory, body: u64, pc: u64) -> Option<u32> {
        let Self(at) = self;
        let encoded = memory.value(body.wrapping_add(at.encoded)).ok()?;
        let instruction = pc.checked_sub(encoded)? / u64::from(WORD);
        let lines: u64 = memory.value(body.wrapping_add(at.lines)).ok()?;
        let size: u32 = memory.value(body.wrapping_add(at.lines_size)).ok()?;
        let index = if size == 1 {
            0
        } else {
            let table: u64 = memory.value(body.wrapping_add(at.lines_index)).ok()?;
            // The pc is that of the next instruction.
            rank(memory, table, instruction.saturating_sub(1))?.checked_sub(1)?
        };
        if index >= u64::from(size) {
            return None;
        }
        memory.value(lines.wrapping_add(index * at.line_size)).ok()
    }

    /// Of the newest series.
    #[cfg(any(test, fuzzing))]
    pub(super) fn newest() -> Self {
        let (_, layout) = LAYOUTS[LAYOUTS.len() - 1];
        Self(layout)
    }
}

/// As `succ_index_lookup`: how many entries begin at a position or before.
fn rank(memory: &mut Memory, table: u64, position: u64) -> Option<u64> {
    let Some(behind) = position.checked_sub(IMMEDIATE) else {
        let word: u64 = memory.value(table.wrapping_add(position / 9 * 8)).ok()?;
        return Some(word >> (position % 9 * 7) & 0x7f);
    };
    let block = table
        .wrapping_add(RANKS)
        .wrapping_add(behind / BLOCK_BITS * BLOCK);
    let of_block: u32 = memory.value(block).ok()?;
    let ranks: u64 = memory.value(block.wrapping_add(8)).ok()?;
    let small = behind % BLOCK_BITS / 64;
    let of_small = match small {
        0 => 0,
        _ => ranks >> ((small - 1) * 9) & 0x1ff,
    };
    let bits: u64 = memory.value(block.wrapping_add(16 + small * 8)).ok()?;
    let before = (bits << (63 - behind % 64)).count_ones();
    Some(u64::from(of_block) + of_small + u64::from(before))
}

fn flags(memory: &mut Memory, object: u64) -> Option<u64> {
    memory.value(object).ok()
}

/// The text of a `RString`.
fn string(memory: &mut Memory, object: u64) -> Option<String> {
    let flags = flags(memory, object)?;
    if flags & TYPE_MASK != STRING {
        return None;
    }
    let contents = object.wrapping_add(CONTENTS);
    if flags & STRING_ELSEWHERE == 0 {
        let length = flags >> STRING_LENGTH_SHIFT & 0x1f;
        return memory.counted_text(contents, length).ok();
    }
    let length = memory.value(contents).ok()?;
    let characters = memory.value(object.wrapping_add(POINTER)).ok()?;
    memory.counted_text(characters, length).ok()
}

/// The path of a file: a string, or the first in an array that has where it really is as well.
fn path_of(memory: &mut Memory, object: u64) -> Option<String> {
    let flags = flags(memory, object)?;
    if flags & TYPE_MASK != ARRAY {
        return string(memory, object);
    }
    let elements = if flags & ARRAY_EMBEDDED != 0 {
        object.wrapping_add(CONTENTS)
    } else {
        memory.value(object.wrapping_add(ARRAY_POINTER)).ok()?
    };
    let path = memory.value(elements).ok()?;
    string(memory, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::fixture::{self, Fixture};

    fn embedded(memory: &mut Fixture, text: &str) -> u64 {
        let string = memory.place(40);
        let flags = STRING | (text.len() as u64) << STRING_LENGTH_SHIFT;
        memory.set(string, 0, &flags.to_ne_bytes());
        memory.set(string, 16, text.as_bytes());
        string
    }

    fn elsewhere(memory: &mut Fixture, text: &str) -> u64 {
        let (string, characters) = (memory.place(40), memory.place(text.len()));
        memory.set(characters, 0, text.as_bytes());
        memory.set(string, 0, &(STRING | STRING_ELSEWHERE).to_ne_bytes());
        memory.set(string, 16, &text.len().to_ne_bytes());
        memory.set(string, 24, &characters.to_ne_bytes());
        string
    }

    /// At the fourth instruction, of lines 7 (from the first), 8 (from the third) and 9 (from the fifth on).
    fn method(memory: &mut Fixture) -> FrameWords {
        let (iseq, body, path) = (memory.place(24), memory.place(160), memory.place(40));
        let (encoded, lines, index) = (memory.place(48), memory.place(36), memory.place(48));
        let file = elsewhere(memory, "/srv/upload_log.rb");
        memory.set(path, 0, &(ARRAY | ARRAY_EMBEDDED).to_ne_bytes());
        memory.set(path, 16, &file.to_ne_bytes());
        let label = embedded(memory, "record");
        for (line, offset) in [(7_u32, 0), (8, 12), (9, 24)] {
            memory.set(lines, offset, &line.to_ne_bytes());
        }
        let ranks = [1_u64, 1, 2, 2, 3, 3]
            .iter()
            .rev()
            .fold(0, |word, rank| word << 7 | rank);
        memory.set(index, 0, &ranks.to_ne_bytes());
        for (offset, word) in [
            (8, encoded),
            (64, path),
            (80, label),
            (120, lines),
            (136, 3),
            (144, index),
        ] {
            memory.set(body, offset, &word.to_ne_bytes());
        }
        memory.set(iseq, 0, &0x1_8701a_u64.to_ne_bytes());
        memory.set(iseq, 16, &body.to_ne_bytes());
        FrameWords {
            code: iseq,
            position: encoded + 4 * 8,
        }
    }

    fn read(words: FrameWords) -> Option<Function> {
        Frames::newest().function(&mut fixture::own(), words)
    }

    #[test]
    fn methods_by_name_file_and_line() {
        let memory = &mut Fixture::default();
        let words = method(memory);
        let function = read(words).expect("a method");
        assert_eq!(function.name, "record");
        assert_eq!(function.file.as_deref(), Some("/srv/upload_log.rb"));
        assert_eq!(function.line, Some(8));
    }

    #[test]
    fn what_is_no_method_of_the_script() {
        let memory = &mut Fixture::default();
        let words = method(memory);
        let in_c = FrameWords { code: 0, ..words };
        assert_eq!(read(in_c), None);
        let no_line = FrameWords { position: 0, ..words };
        assert_eq!(read(no_line).expect("a method").line, None);
        memory.set(words.code, 0, &0x1_8601a_u64.to_ne_bytes());
        assert_eq!(read(words), None, "another internal object");
    }

    #[test]
    fn positions_in_large_methods() {
        let memory = &mut Fixture::default();
        let table = memory.place(48 + 2 * 80);
        memory.set(table, 40, &(53_u64 << (8 * 7)).to_ne_bytes());
        // In the second block: 20 before it, 5 in its first 64 positions, bits 0 and 3 of the next.
        memory.set(table, 48 + 80, &20_u32.to_ne_bytes());
        memory.set(table, 48 + 88, &5_u64.to_ne_bytes());
        memory.set(table, 48 + 96 + 8, &0b1001_u64.to_ne_bytes());
        let rank = |position| rank(&mut fixture::own(), table, position);
        assert_eq!(rank(53), Some(53));
        assert_eq!(rank(54 + 512 + 64), Some(26));
        assert_eq!(rank(54 + 512 + 64 + 2), Some(26));
        assert_eq!(rank(54 + 512 + 64 + 3), Some(27));
    }
}
