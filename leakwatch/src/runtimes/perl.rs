//! Subroutines of Perl scripts, of builds with threads (`useithreads`, as distributions ship them). An interpreter's
//! contexts (`PERL_CONTEXT`, cop.h) lie in an array, the innermost last; those of subroutines have the code value, and the
//! control op (`COP`) that the caller is at. The one that the innermost is at is the interpreter's current one.
//!
//! What is called back from within (by `sort`, `tie`, signals) has an array of its own; its callers are not followed.

use leakwatch_common::{
    interpreter::{FrameWords, Interpreter, Search},
    settings::ABSENT,
};

use super::{
    Unknown,
    binary::Binary,
    interpreters::{Followed, Interpreted, ReadsFrames},
    memory::Memory,
    target::{Mapping, Target},
};
use crate::{
    model::{sanitize, stack::Function},
    target_memory::TargetMemory as _,
};

const NAME: &str = crate::model::runtime::PERL;

/// `CXTYPEMASK` and `CXt_SUB`
const CONTEXT_MASK: u32 = 0xf;
const CONTEXT_SUB: u32 = 9;
/// `SVTYPEMASK` and `svtype`: globs, hashes, code.
const TYPE_MASK: u32 = 0xff;
const GLOB: u32 = 9;
const HASH: u32 = 12;
const CODE: u32 = 13;
/// `SVf_OOK`: a hash has what packages need. `CVf_NAMED`: code has a name and no glob.
const HAS_MORE: u32 = 0x0200_0000;
const NAMED: u32 = 0x8000;
/// `struct sv`
const ANY: u64 = 0;
const FLAGS: u64 = 12;
/// `struct hek`
const LENGTH: u64 = 4;
const CHARACTERS: u64 = 8;
/// Longest name, bytes; longer ones are cut when they are read.
const MAX_LENGTH: u32 = 1 << 20;

/// Offsets of a series, for 64-bit Linux.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// `struct interpreter`: `Icurcop`, `Icurstackinfo`
    current: u32,
    stack: u32,
    /// `PERL_SI`
    contexts: u32,
    last: u32,
    room: u32,
    /// `PERL_CONTEXT`, its size first
    context: u32,
    kind: u32,
    caller_at: u32,
    code: u32,
    /// `COP`
    line: u64,
    file: u64,
    /// `XPVCV`
    package: u64,
    name: u64,
    code_file: u64,
    code_flags: u64,
    /// `XPVGV`
    glob_name: u64,
    /// `struct xpvhv_with_aux`
    hash_name: u64,
    hash_names: u64,
}

const LAYOUTS: &[(&str, Layout)] = &[(
    "5.36",
    Layout {
        current: 0xd0,
        stack: 0xe0,
        contexts: 8,
        last: 32,
        room: 36,
        context: 104,
        kind: 0,
        caller_at: 16,
        code: 72,
        line: 36,
        file: 48,
        package: 32,
        name: 56,
        code_file: 64,
        code_flags: 92,
        glob_name: 32,
        hash_name: 32,
        hash_names: 60,
    },
)];

/// Perl.
pub(super) struct Perl;

impl Interpreted for Perl {
    fn name(&self) -> &'static str {
        NAME
    }

    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown> {
        let layout = *target.of_series("Perl", LAYOUTS)?;
        let (mapping, binary) = target
            .definer("PL_thr_key", "libperl.so")
            .ok_or(Unknown::NotKept("frames of Perl without threads are not known"))?;
        let first = binary.symbol("PL_curinterp");
        let first = first.ok_or(Unknown::Layout("a symbol is missing"))?.address;
        layout.check(memory, first)?;
        let thread_local = thread_local(target, mapping, &binary);
        let search = if thread_local.is_some() {
            Search::ThreadLocal
        } else {
            Search::Pointer
        };
        Ok(Followed {
            interpreter: Interpreter {
                root: first,
                search: search as u32,
                thread_local: thread_local.unwrap_or(0),
                frame: ABSENT,
                frame_previous: ABSENT,
                frame_stride: -layout.context.cast_signed(),
                frame_code: layout.code,
                frame_position: layout.caller_at,
                position_ahead: layout.current,
                frame_kind: layout.kind,
                kind_mask: CONTEXT_MASK,
                kind_value: CONTEXT_SUB,
                stack: layout.stack,
                stack_start: layout.contexts,
                stack_elements: layout.last,
                stack_element: layout.context,
                ..Interpreter::default()
            },
            code: target.code_of(mapping)?,
            frames: Box::new(Frames(layout)),
        })
    }
}

impl Layout {
    fn check(&self, memory: &mut Memory, pointer: u64) -> Result<(), Unknown> {
        let interpreter: u64 = memory.value(pointer)?;
        if interpreter == 0 {
            return Err(Unknown::NotKept("it has not started yet"));
        }
        let stack: u64 = memory.value(interpreter.wrapping_add(self.stack.into()))?;
        let contexts: u64 = memory.value(stack.wrapping_add(self.contexts.into()))?;
        let last: i32 = memory.value(stack.wrapping_add(self.last.into()))?;
        let room: i32 = memory.value(stack.wrapping_add(self.room.into()))?;
        if contexts == 0 || !(-1..=room).contains(&last) {
            return Err(Unknown::Layout("its contexts are not where they should be"));
        }
        Ok(())
    }
}

/// Where each thread has `PL_current_context`, from its thread pointer. Only that of the executable is known: how far a
/// library's variables are is the loader's business. Without, the interpreter that was made last is followed.
fn thread_local(target: &Target, mapping: &Mapping, binary: &Binary) -> Option<i32> {
    let executable = target.executable_mapping().ok()?;
    if !cfg!(target_arch = "x86_64") || executable != mapping {
        return None;
    }
    let own = binary.symbol("PL_current_context")?;
    // The executable's block ends at the thread pointer (ELF Handling for Thread-Local Storage, variant II).
    let distance =
        i64::try_from(own.address).ok()? - i64::try_from(binary.elf().thread_local_size()?).ok()?;
    i32::try_from(distance).ok().filter(|distance| *distance < 0)
}

/// Reads code values: compiled subroutines.
pub(super) struct Frames(Layout);

impl ReadsFrames for Frames {
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function> {
        let Self(at) = self;
        let (code, _) = any(memory, words.code, CODE)?;
        let flags: u32 = memory.value(code.wrapping_add(at.code_flags)).ok()?;
        let name: u64 = memory.value(code.wrapping_add(at.name)).ok()?;
        let name = if flags & NAMED != 0 {
            key(memory, name)?
        } else {
            let (glob, _) = any(memory, name, GLOB)?;
            let name = memory.value(glob.wrapping_add(at.glob_name)).ok()?;
            key(memory, name)?
        };
        let file = text_at(memory, code.wrapping_add(at.code_file))?;
        Some(Function {
            name: match self.package(memory, code) {
                Some(package) => format!("{package}::{name}"),
                None => name,
            },
            line: self.line(memory, words.position, &file),
            file: Some(file),
        })
    }
}

impl Frames {
    fn package(&self, memory: &mut Memory, code: u64) -> Option<String> {
        let Self(at) = self;
        let package = memory.value(code.wrapping_add(at.package)).ok()?;
        let (hash, flags) = any(memory, package, HASH)?;
        if flags & HAS_MORE == 0 {
            return None;
        }
        let names: i32 = memory.value(hash.wrapping_add(at.hash_names)).ok()?;
        let mut name: u64 = memory.value(hash.wrapping_add(at.hash_name)).ok()?;
        // With aliases the names are in an array, its own first.
        if names != 0 {
            name = memory.value(name).ok()?;
        }
        key(memory, name)
    }

    /// Unless the control op is of another file: code that was read in between by `require` has no frame.
    fn line(&self, memory: &mut Memory, op: u64, file: &str) -> Option<u32> {
        let Self(at) = self;
        let of_op = text_at(memory, op.wrapping_add(at.file))?;
        let line: u32 = memory.value(op.wrapping_add(at.line)).ok()?;
        (of_op == file && line != 0).then_some(line)
    }

    /// Of the newest series.
    #[cfg(any(test, fuzzing))]
    pub(super) fn newest() -> Self {
        let (_, layout) = LAYOUTS[LAYOUTS.len() - 1];
        Self(layout)
    }
}

/// The body of a value and its flags; `None` when it is of another type.
fn any(memory: &mut Memory, value: u64, kind: u32) -> Option<(u64, u32)> {
    let flags: u32 = memory.value(value.wrapping_add(FLAGS)).ok()?;
    let body = memory.value(value.wrapping_add(ANY)).ok()?;
    (flags & TYPE_MASK == kind).then_some((body, flags))
}

/// The text of a hash key.
fn key(memory: &mut Memory, key: u64) -> Option<String> {
    let length: u32 = memory.value(key.wrapping_add(LENGTH)).ok()?;
    if length == 0 || length > MAX_LENGTH {
        return None;
    }
    let characters = key.wrapping_add(CHARACTERS);
    memory.counted_text(characters, length.into()).ok()
}

fn text_at(memory: &mut Memory, pointer: u64) -> Option<String> {
    let text = memory.value(pointer).ok()?;
    Some(sanitize::text(&memory.text(text).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::fixture::{self, Fixture};

    fn key(memory: &mut Fixture, text: &str) -> u64 {
        let key = memory.place(16 + text.len());
        memory.set(key, 4, &u32::try_from(text.len()).expect("short").to_ne_bytes());
        memory.set(key, 8, text.as_bytes());
        key
    }

    fn text(memory: &mut Fixture, text: &str) -> u64 {
        // Texts are read in pieces.
        let at = memory.place(64);
        memory.set(at, 0, text.as_bytes());
        at
    }

    fn value(memory: &mut Fixture, flags: u32, size: usize) -> (u64, u64) {
        let (value, body) = (memory.place(24), memory.place(size));
        memory.set(value, 0, &body.to_ne_bytes());
        memory.set(value, 12, &flags.to_ne_bytes());
        (value, body)
    }

    /// Code of a package, at line 5 of its file.
    fn code(memory: &mut Fixture, package: &str, names: i32) -> (FrameWords, u64) {
        let (code, body) = value(memory, CODE, 112);
        let (hash, hash_body) = value(memory, HASH | HAS_MORE, 64);
        let mut name = key(memory, package);
        if names != 0 {
            let array = memory.place(8);
            memory.set(array, 0, &name.to_ne_bytes());
            name = array;
        }
        memory.set(hash_body, 32, &name.to_ne_bytes());
        memory.set(hash_body, 60, &names.to_ne_bytes());
        memory.set(body, 32, &hash.to_ne_bytes());
        let (file, op) = (text(memory, "uploads.pl"), memory.place(80));
        memory.set(body, 64, &file.to_ne_bytes());
        memory.set(op, 36, &5_u32.to_ne_bytes());
        memory.set(op, 48, &file.to_ne_bytes());
        let words = FrameWords { code, position: op };
        (words, body)
    }

    fn read(words: FrameWords) -> Option<Function> {
        Frames::newest().function(&mut fixture::own(), words)
    }

    #[test]
    fn subroutines_with_a_name_of_their_own_and_by_their_glob() {
        let memory = &mut Fixture::default();
        let (words, body) = code(memory, "main", 0);
        let name = key(memory, "record_upload");
        memory.set(body, 56, &name.to_ne_bytes());
        memory.set(body, 92, &NAMED.to_ne_bytes());
        let function = read(words).expect("a subroutine");
        assert_eq!(function.name, "main::record_upload");
        assert_eq!(
            (function.file.as_deref(), function.line),
            (Some("uploads.pl"), Some(5))
        );
        let (words, body) = code(memory, "Shop::Log", -1);
        let (glob, glob_body) = value(memory, GLOB | 0x8000, 64);
        let name = key(memory, "__ANON__");
        memory.set(glob_body, 32, &name.to_ne_bytes());
        memory.set(body, 56, &glob.to_ne_bytes());
        assert_eq!(read(words).expect("a subroutine").name, "Shop::Log::__ANON__");
    }

    #[test]
    fn lines_of_another_file_are_left_out() {
        let memory = &mut Fixture::default();
        let (words, body) = code(memory, "main", 0);
        let (name, other) = (key(memory, "load"), text(memory, "Module.pm"));
        memory.set(body, 56, &name.to_ne_bytes());
        memory.set(body, 92, &NAMED.to_ne_bytes());
        memory.set(words.position, 48, &other.to_ne_bytes());
        assert_eq!(read(words).expect("a subroutine").line, None);
    }

    #[test]
    fn what_is_no_subroutine() {
        let memory = &mut Fixture::default();
        let (words, body) = code(memory, "main", 0);
        assert_eq!(read(words), None, "without a name");
        let name = memory.place(16);
        memory.set(name, 4, &u32::MAX.to_ne_bytes());
        memory.set(body, 56, &name.to_ne_bytes());
        memory.set(body, 92, &NAMED.to_ne_bytes());
        assert_eq!(read(words), None, "too long for a name");
        let (hash, _) = value(memory, HASH, 64);
        assert_eq!(read(FrameWords { code: hash, ..words }), None);
    }
}
