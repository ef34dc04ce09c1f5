//! Functions of PHP scripts, of builds without threads (NTS): `executor_globals` leads to the innermost of linked
//! `zend_execute_data` (Zend/zend_compile.h).

use leakwatch_common::interpreter::{FrameWords, Interpreter, Search};

use super::{
    Unknown,
    interpreters::{Followed, Interpreted, ReadsFrames},
    memory::Memory,
    target::Target,
};
use crate::model::stack::Function;

const NAME: &str = crate::model::runtime::PHP;

/// `zend_function.type`: internal functions are the runtime's own, those of `eval` have no name.
const INTERNAL: u8 = 1;
const USER: u8 = 2;
const EVAL: u8 = 4;
/// `IS_STRING`, and the bits of `zend_refcounted_h.u.type_info` that it is in.
const STRING: u32 = 6;
const TYPE_MASK: u32 = 0xf;

/// Offsets of a series, for 64-bit Linux.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Size of `zend_executor_globals`.
    globals: u64,
    /// `zend_executor_globals.current_execute_data`
    current: u32,
    /// `zend_execute_data`
    opline: u32,
    function: u32,
    previous: u32,
    /// `zend_function`
    name: u64,
    scope: u64,
    file: u64,
    first_line: u64,
    last_line: u64,
    /// `zend_op.lineno`
    line: u64,
    /// `zend_class_entry.name`
    class_name: u64,
    /// `zend_string`
    length: u64,
    characters: u64,
}

const LAYOUTS: &[(&str, Layout)] = &[(
    "8.2",
    Layout {
        globals: 1800,
        current: 488,
        opline: 0,
        function: 24,
        previous: 48,
        name: 8,
        scope: 16,
        file: 152,
        first_line: 160,
        last_line: 164,
        line: 24,
        class_name: 8,
        length: 16,
        characters: 24,
    },
)];

/// PHP.
pub(super) struct Php;

impl Interpreted for Php {
    fn name(&self) -> &'static str {
        NAME
    }

    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown> {
        let layout = *target.of_series("PHP", LAYOUTS)?;
        let (mapping, binary) = target
            .definer("executor_globals", "libphp")
            .ok_or(Unknown::NotKept("frames of PHP with threads (ZTS) are not known"))?;
        let globals = binary.symbol("executor_globals");
        let globals = globals.ok_or(Unknown::Layout("a symbol is missing"))?;
        if globals.size != layout.globals {
            return Err(Unknown::Layout("its executor_globals are of another size"));
        }
        let frames = Frames(layout);
        frames.check(memory, globals.address)?;
        Ok(Followed {
            interpreter: Interpreter {
                root: globals.address,
                search: Search::Root as u32,
                frame: layout.current,
                frame_previous: layout.previous,
                frame_code: layout.function,
                frame_position: layout.opline,
                ..Interpreter::default()
            },
            code: target.code_of(mapping)?,
            frames: Box::new(frames),
        })
    }
}

/// Reads `zend_function`s and the `zend_op` that each is at.
pub(super) struct Frames(Layout);

impl ReadsFrames for Frames {
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function> {
        let Self(at) = self;
        let function = words.code;
        let kind: u8 = memory.value(function).ok()?;
        let name = match kind {
            USER => self.name(memory, function)?,
            EVAL => "eval".to_owned(),
            _ => return None,
        };
        Some(Function {
            name,
            file: Some(self.string_at(memory, function.wrapping_add(at.file))?),
            line: self.line(memory, words),
        })
    }
}

impl Frames {
    /// What runs at the moment, if anything does, has to be a function.
    fn check(&self, memory: &mut Memory, globals: u64) -> Result<(), Unknown> {
        let Self(at) = self;
        let frame: u64 = memory.value(globals.wrapping_add(at.current.into()))?;
        if frame == 0 {
            return Ok(());
        }
        let function: u64 = memory.value(frame.wrapping_add(at.function.into()))?;
        // 0 while a call is being prepared.
        if function == 0 || matches!(memory.value(function)?, INTERNAL | USER | EVAL) {
            return Ok(());
        }
        Err(Unknown::Layout("what it runs is no function"))
    }

    /// `Class::method`, `function`; of a file's own code as PHP writes it in traces of exceptions.
    fn name(&self, memory: &mut Memory, function: u64) -> Option<String> {
        let Self(at) = self;
        let own: u64 = memory.value(function.wrapping_add(at.name)).ok()?;
        if own == 0 {
            return Some("{main}".to_owned());
        }
        let own = self.string(memory, own)?;
        let class: u64 = memory.value(function.wrapping_add(at.scope)).ok()?;
        if class == 0 {
            return Some(own);
        }
        let class = self.string_at(memory, class.wrapping_add(at.class_name))?;
        Some(format!("{class}::{own}"))
    }

    fn line(&self, memory: &mut Memory, words: FrameWords) -> Option<u32> {
        let Self(at) = self;
        let line: u32 = memory.value(words.position.wrapping_add(at.line)).ok()?;
        let first: u32 = memory.value(words.code.wrapping_add(at.first_line)).ok()?;
        let last: u32 = memory.value(words.code.wrapping_add(at.last_line)).ok()?;
        (first..=last).contains(&line).then_some(line)
    }

    fn string_at(&self, memory: &mut Memory, pointer: u64) -> Option<String> {
        let string = memory.value(pointer).ok()?;
        self.string(memory, string)
    }

    /// Of a `zend_string`.
    fn string(&self, memory: &mut Memory, string: u64) -> Option<String> {
        let Self(at) = self;
        let [_, kind]: [u32; 2] = memory.value(string).ok()?;
        if kind & TYPE_MASK != STRING {
            return None;
        }
        let length = memory.value(string.wrapping_add(at.length)).ok()?;
        memory
            .counted_text(string.wrapping_add(at.characters), length)
            .ok()
    }

    /// Of the newest series.
    #[cfg(any(test, fuzzing))]
    pub(super) fn newest() -> Self {
        let (_, layout) = LAYOUTS[LAYOUTS.len() - 1];
        Self(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::fixture::{self, Fixture};

    fn string(memory: &mut Fixture, text: &str) -> u64 {
        let string = memory.place(24 + text.len());
        memory.set(string, 4, &STRING.to_ne_bytes());
        memory.set(string, 16, &text.len().to_ne_bytes());
        memory.set(string, 24, text.as_bytes());
        string
    }

    /// Lines 10 to 20 of a file, at line 12.
    fn frame(memory: &mut Fixture, kind: u8, name: Option<&str>, class: Option<&str>) -> FrameWords {
        let (function, op) = (memory.place(168), memory.place(32));
        memory.set(function, 0, &[kind]);
        if let Some(name) = name {
            let name = string(memory, name);
            memory.set(function, 8, &name.to_ne_bytes());
        }
        if let Some(class) = class {
            let (entry, name) = (memory.place(16), string(memory, class));
            memory.set(entry, 8, &name.to_ne_bytes());
            memory.set(function, 16, &entry.to_ne_bytes());
        }
        let file = string(memory, "/srv/a.php");
        memory.set(function, 152, &file.to_ne_bytes());
        memory.set(function, 160, &10_u32.to_ne_bytes());
        memory.set(function, 164, &20_u32.to_ne_bytes());
        memory.set(op, 24, &12_u32.to_ne_bytes());
        FrameWords {
            code: function,
            position: op,
        }
    }

    fn read(words: FrameWords) -> Option<Function> {
        Frames::newest().function(&mut fixture::own(), words)
    }

    #[test]
    fn functions_by_the_names_that_php_gives_them() {
        let memory = &mut Fixture::default();
        for (kind, name, class, expected) in [
            (USER, Some("record"), Some("UploadLog"), "UploadLog::record"),
            (USER, Some("{closure}"), None, "{closure}"),
            (USER, None, None, "{main}"),
            (EVAL, None, None, "eval"),
        ] {
            let words = frame(memory, kind, name, class);
            let function = read(words).expect("a function");
            assert_eq!(function.name, expected);
            assert_eq!(function.file.as_deref(), Some("/srv/a.php"));
            assert_eq!(function.line, Some(12));
        }
    }

    #[test]
    fn what_is_no_function_of_the_script() {
        let memory = &mut Fixture::default();
        let internal = frame(memory, INTERNAL, Some("fopen"), None);
        assert_eq!(read(internal), None);
        let words = frame(memory, USER, Some("record"), None);
        memory.set(words.position, 24, &21_u32.to_ne_bytes());
        assert_eq!(
            read(words).expect("a function").line,
            None,
            "behind its last line"
        );
        let file: u64 = fixture::own().value(words.code + 152).expect("it was set");
        memory.set(file, 4, &0_u32.to_ne_bytes());
        assert_eq!(read(words), None, "its file is no string");
        assert_eq!(read(FrameWords { code: 8, position: 0 }), None);
    }
}
