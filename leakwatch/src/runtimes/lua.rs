//! Functions of Lua scripts that the stock interpreter runs: its `globalL` leads to the main coroutine, and that one to linked
//! `CallInfo` (lstate.h). `globalL` has no symbol, so it is looked for where the interpreter's variables are.
//!
//! Functions of Lua have no names, only variables that hold them: they are called by where they begin, as in Lua's own
//! tracebacks. Frames of a coroutine are not followed; who resumed it is shown.

use leakwatch_common::interpreter::{FrameWords, Interpreter, Search};

use super::{
    Unknown,
    binary::Binary,
    interpreters::{Followed, Interpreted, ReadsFrames},
    memory::Memory,
    target::Target,
};
use crate::model::stack::Function;

const NAME: &str = crate::model::runtime::LUA;

/// Most bytes of the interpreter's variables; it has a few hundred.
const MAX_VARIABLES: usize = 1 << 20;
/// Longest table of lines, entries.
const MAX_LINES: u64 = 64 << 10;

/// `GCObject.tt`: `LUA_VSHRSTR`, `LUA_VLNGSTR`, `LUA_VLCL`, `LUA_VTHREAD`, `LUA_VPROTO` (lobject.h)
const KIND: u64 = 8;
const SHORT_STRING: u8 = 0x04;
const LONG_STRING: u8 = 0x14;
const CLOSURE: u8 = 6;
const THREAD: u8 = 8;
const PROTOTYPE: u8 = 10;
/// An `Instruction`, and an `AbsLineInfo`: instruction and line.
const INSTRUCTION: u64 = 4;
const LINE: u64 = 8;

/// Offsets of a series, for 64-bit Linux.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// `lua_State`
    shared: u64,
    innermost: u32,
    /// `global_State.mainthread`
    main: u64,
    /// `CallInfo`
    function: u32,
    previous: u32,
    saved: u32,
    /// `LClosure.p`
    prototype: u64,
    /// `Proto`
    steps: u64,
    known_lines: u64,
    first_line: u64,
    code: u64,
    step_table: u64,
    known_table: u64,
    source: u64,
    /// `TString`
    short_length: u64,
    long_length: u64,
    characters: u64,
}

const LAYOUTS: &[(&str, Layout)] = &[(
    "5.4",
    Layout {
        shared: 24,
        innermost: 32,
        main: 264,
        function: 0,
        previous: 16,
        saved: 32,
        prototype: 24,
        steps: 28,
        known_lines: 40,
        first_line: 44,
        code: 64,
        step_table: 88,
        known_table: 96,
        source: 112,
        short_length: 11,
        long_length: 16,
        characters: 24,
    },
)];

/// Lua; not LuaJIT, which is another runtime.
pub(super) struct Lua;

impl Interpreted for Lua {
    fn name(&self) -> &'static str {
        NAME
    }

    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown> {
        let layout = *target.of_series("Lua", LAYOUTS)?;
        let (mapping, _) = target
            .definer("lua_newstate", "liblua")
            .ok_or(Unknown::Layout("a symbol is missing"))?;
        Ok(Followed {
            interpreter: Interpreter {
                root: layout.root(memory, &target.executable()?)?,
                search: Search::Pointer as u32,
                frame: layout.innermost,
                frame_previous: layout.previous,
                frame_code: layout.function,
                // A frame has the place on the stack that holds the function.
                code_behind: 0,
                frame_position: layout.saved,
                ..Interpreter::default()
            },
            code: target.code_of(mapping)?,
            frames: Box::new(Frames(layout)),
        })
    }
}

impl Layout {
    /// The variable that leads to the main coroutine.
    fn root(&self, memory: &mut Memory, executable: &Binary) -> Result<u64, Unknown> {
        for section in [".bss", ".data"] {
            let Some(section) = executable.section(section) else {
                continue;
            };
            let start = section.start.next_multiple_of(8);
            let size = usize::try_from(section.end.saturating_sub(start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; size.min(MAX_VARIABLES)];
            memory.read(start, &mut bytes)?;
            let values = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>);
            for (address, value) in (start..).step_by(8).zip(values) {
                if self.is_main(memory, value) {
                    return Ok(address);
                }
            }
        }
        Err(Unknown::NotKept("its interpreter keeps no main coroutine"))
    }

    /// Whether that is the main coroutine: what all coroutines share says so too.
    fn is_main(&self, memory: &mut Memory, state: u64) -> bool {
        if state == 0 || !is(memory, state, THREAD) {
            return false;
        }
        let shared = memory.value::<u64>(state.wrapping_add(self.shared));
        shared.is_ok_and(|shared| memory.value(shared.wrapping_add(self.main)).ok() == Some(state))
    }
}

/// Reads closures, and the prototypes that they are of.
pub(super) struct Frames(Layout);

impl ReadsFrames for Frames {
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function> {
        let Self(at) = self;
        // Functions in C are closures of another kind, or addresses of code.
        if !is(memory, words.code, CLOSURE) {
            return None;
        }
        let prototype: u64 = memory.value(words.code.wrapping_add(at.prototype)).ok()?;
        if !is(memory, prototype, PROTOTYPE) {
            return None;
        }
        let source = memory.value(prototype.wrapping_add(at.source)).ok()?;
        let source = self.string(memory, source)?;
        let first: u32 = memory.value(prototype.wrapping_add(at.first_line)).ok()?;
        // A file's name follows an `@`, another name a `=`; else it is the source itself.
        let file = source.strip_prefix('@');
        let shown = match (file, source.strip_prefix('=')) {
            (Some(file), _) => file.rsplit('/').next().unwrap_or(file),
            (None, Some(name)) => name,
            (None, None) => "[string]",
        };
        let name = match first {
            0 => "main chunk".to_owned(),
            _ => format!("function <{shown}:{first}>"),
        };
        Some(Function {
            name,
            file: file.map(str::to_owned),
            line: self.line(memory, prototype, first, words.position),
        })
    }
}

impl Frames {
    /// As `luaG_getfuncline`: some instructions have their line in a table, the others a step from the one before.
    fn line(&self, memory: &mut Memory, prototype: u64, first: u32, saved: u64) -> Option<u32> {
        let Self(at) = self;
        let code = memory.value(prototype.wrapping_add(at.code)).ok()?;
        // The saved one is the next.
        let instruction = (saved.checked_sub(code)? / INSTRUCTION).checked_sub(1)?;
        let steps: u32 = memory.value(prototype.wrapping_add(at.steps)).ok()?;
        if instruction >= u64::from(steps).min(MAX_LINES) {
            return None;
        }
        let (mut begin, mut line) = (0, i64::from(first));
        if let Some((known, of_known)) = self.known_line(memory, prototype, instruction) {
            (begin, line) = (known + 1, of_known);
        }
        let table: u64 = memory.value(prototype.wrapping_add(at.step_table)).ok()?;
        let mut bytes = vec![0; usize::try_from((instruction + 1).checked_sub(begin)?).ok()?];
        memory.read(table.wrapping_add(begin), &mut bytes).ok()?;
        let steps: i64 = bytes.iter().map(|step| i64::from(step.cast_signed())).sum();
        u32::try_from(line + steps).ok()
    }

    /// The last instruction up to this one that has its line in the table, and that line.
    fn known_line(&self, memory: &mut Memory, prototype: u64, instruction: u64) -> Option<(u64, i64)> {
        let Self(at) = self;
        let known: u32 = memory.value(prototype.wrapping_add(at.known_lines)).ok()?;
        let table: u64 = memory.value(prototype.wrapping_add(at.known_table)).ok()?;
        let known = u64::from(known).min(MAX_LINES);
        let mut bytes = vec![0; usize::try_from(known * LINE).ok()?];
        memory.read(table, &mut bytes).ok()?;
        let entries = bytes
            .chunks_exact(8)
            .map(bytemuck::pod_read_unaligned::<[u32; 2]>);
        let last = entries.take_while(|[of, _]| u64::from(*of) <= instruction).last();
        last.map(|[of, line]| (of.into(), line.into()))
    }

    fn string(&self, memory: &mut Memory, string: u64) -> Option<String> {
        let Self(at) = self;
        let length = match memory.value(string.wrapping_add(KIND)).ok()? {
            SHORT_STRING => memory
                .value::<u8>(string.wrapping_add(at.short_length))
                .ok()?
                .into(),
            LONG_STRING => memory.value(string.wrapping_add(at.long_length)).ok()?,
            _ => return None,
        };
        let characters = string.wrapping_add(at.characters);
        memory.counted_text(characters, length).ok()
    }

    /// Of the newest series.
    #[cfg(any(test, fuzzing))]
    pub(super) fn newest() -> Self {
        let (_, layout) = LAYOUTS[LAYOUTS.len() - 1];
        Self(layout)
    }
}

/// Whether an object is of that kind.
fn is(memory: &mut Memory, object: u64, kind: u8) -> bool {
    memory.value(object.wrapping_add(KIND)).ok() == Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::fixture::{self, Fixture};

    fn object(memory: &mut Fixture, kind: u8, size: usize) -> u64 {
        let object = memory.place(size);
        memory.set(object, 8, &[kind]);
        object
    }

    /// A function that begins in line 5; at its fourth instruction.
    fn closure(memory: &mut Fixture, source: &str, first: u32) -> (FrameWords, u64) {
        let (closure, prototype) = (object(memory, CLOSURE, 40), object(memory, PROTOTYPE, 128));
        let string = object(memory, LONG_STRING, 24 + source.len());
        memory.set(string, 16, &source.len().to_ne_bytes());
        memory.set(string, 24, source.as_bytes());
        let (code, steps) = (memory.place(24), memory.place(6));
        memory.set(steps, 0, &[1, 0, 2, 0xff, 1, 1]);
        memory.set(prototype, 28, &6_u32.to_ne_bytes());
        memory.set(prototype, 44, &first.to_ne_bytes());
        for (offset, word) in [(64, code), (88, steps), (112, string)] {
            memory.set(prototype, offset, &word.to_ne_bytes());
        }
        memory.set(closure, 24, &prototype.to_ne_bytes());
        let words = FrameWords {
            code: closure,
            position: code + 4 * 4,
        };
        (words, prototype)
    }

    fn read(words: FrameWords) -> Option<Function> {
        Frames::newest().function(&mut fixture::own(), words)
    }

    #[test]
    fn functions_by_where_they_begin() {
        let memory = &mut Fixture::default();
        for (source, first, name, file) in [
            (
                "@/srv/uploads.lua",
                5,
                "function <uploads.lua:5>",
                Some("/srv/uploads.lua"),
            ),
            ("@uploads.lua", 0, "main chunk", Some("uploads.lua")),
            ("=stdin", 5, "function <stdin:5>", None),
            ("local secret = 1", 5, "function <[string]:5>", None),
        ] {
            let (words, _) = closure(memory, source, first);
            let function = read(words).expect("a function");
            assert_eq!(function.name, name);
            assert_eq!(function.file.as_deref(), file);
            assert_eq!(function.line, Some(first + 2));
        }
    }

    #[test]
    fn lines_from_the_last_that_is_known() {
        let memory = &mut Fixture::default();
        let (words, prototype) = closure(memory, "@a.lua", 5);
        let known = memory.place(16);
        for (offset, number) in [(0, 2_u32), (4, 900), (8, 4), (12, 7)] {
            memory.set(known, offset, &number.to_ne_bytes());
        }
        memory.set(prototype, 40, &2_u32.to_ne_bytes());
        memory.set(prototype, 96, &known.to_ne_bytes());
        assert_eq!(read(words).expect("a function").line, Some(899));
        let behind = FrameWords {
            position: words.position + 3 * 4,
            ..words
        };
        assert_eq!(read(behind).expect("a function").line, None);
    }

    #[test]
    fn what_is_no_function_of_lua() {
        let memory = &mut Fixture::default();
        let (words, prototype) = closure(memory, "@a.lua", 5);
        memory.set(prototype, 8, &[CLOSURE]);
        assert_eq!(read(words), None, "no prototype");
        memory.set(words.code, 8, &[CLOSURE | 0x20]);
        assert_eq!(read(words), None, "a closure of C");
        assert_eq!(read(FrameWords { code: 8, position: 0 }), None);
    }

    #[test]
    fn the_main_coroutine_is_told_by_what_it_shares() {
        let memory = &mut Fixture::default();
        let (state, shared) = (object(memory, THREAD, 200), memory.place(300));
        memory.set(state, 24, &shared.to_ne_bytes());
        let (_, layout) = LAYOUTS[0];
        assert!(!layout.is_main(&mut fixture::own(), state));
        memory.set(shared, 264, &state.to_ne_bytes());
        assert!(layout.is_main(&mut fixture::own(), state));
        assert!(!layout.is_main(&mut fixture::own(), 0));
    }
}
