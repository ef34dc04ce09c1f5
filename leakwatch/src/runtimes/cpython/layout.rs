//! Where each minor version of CPython keeps what is read here. Bytes from the start of each structure.
//!
//! 3.8 to 3.13 as compilers lay them out for 64-bit Linux, of builds without `--with-trace-refs` and `--disable-gil`
//! (Include/internal/pycore_*.h). None of these structures has a lock of the C library before what is read, so they are the
//! same on every architecture.

/// Offsets of one minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) minor: u32,
    pub(super) runtime: RuntimeState,
    pub(super) interpreter: InterpreterState,
    pub(super) thread: ThreadState,
    pub(super) frame: Frame,
    pub(super) code: Code,
    /// Size of `PyASCIIObject`, which the characters of a plain text follow; one with others has two words more.
    pub(super) ascii_size: u64,
    /// `PyHeapTypeObject.ht_qualname`
    pub(super) heap_type_qualname: u64,
}

/// `_PyRuntimeState`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuntimeState {
    pub(super) interpreters_head: u64,
}

/// `PyInterpreterState`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InterpreterState {
    pub(super) next: u32,
    pub(super) threads_head: u32,
    pub(super) collector: Collector,
}

/// Where the `gc.generations` of an interpreter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collector {
    /// In `_PyRuntimeState`: all interpreters have one together.
    OfRuntime(u64),
    /// In each `PyInterpreterState`.
    OfInterpreter(u64),
}

/// `PyThreadState`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadState {
    pub(super) next: u32,
    pub(super) interpreter: u32,
    pub(super) thread_id: u32,
    /// `frame`, `cframe` or `current_frame`
    pub(super) frame: u32,
    /// `cframe->current_frame`
    pub(super) frame_behind: Option<u32>,
}

/// `PyFrameObject`; `_PyInterpreterFrame` since 3.11
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) previous: u32,
    /// `f_code`, `f_executable`
    pub(super) code: u32,
    pub(super) position: u32,
    pub(super) is: Position,
}

/// What the position of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// `f_lasti`: bytes into the code.
    Bytes,
    /// `f_lasti`: instructions of two bytes.
    Instructions,
    /// `prev_instr`, `instr_ptr`: an address in the bytecode, which lies at this offset in the code object.
    Address { bytecode: u64 },
}

/// `PyCodeObject`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) filename: u64,
    pub(super) name: u64,
    pub(super) qualname: Option<u64>,
    pub(super) first_line: u64,
    pub(super) lines: u64,
    pub(super) format: LineFormat,
}

/// How lines are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// `co_lnotab`, Objects/lnotab_notes.txt
    Lnotab,
    /// `co_linetable` of PEP 626
    Ranges,
    /// `co_linetable` of PEP 657, Objects/locations.md
    Locations,
}

/// The layout of a minor version of CPython 3.
pub(super) fn of(minor: u32) -> Option<Layout> {
    LAYOUTS.iter().copied().find(|layout| layout.minor == minor)
}

const FRAME_OBJECT: Frame = Frame {
    previous: 24,
    code: 32,
    position: 104,
    is: Position::Bytes,
};

const CODE_3_8: Code = Code {
    filename: 104,
    name: 112,
    qualname: None,
    first_line: 40,
    lines: 120,
    format: LineFormat::Lnotab,
};

const CODE_3_11: Code = Code {
    filename: 112,
    name: 120,
    qualname: Some(128),
    first_line: 72,
    lines: 136,
    format: LineFormat::Locations,
};

const LAYOUTS: &[Layout] = &[
    Layout {
        minor: 8,
        runtime: RuntimeState {
            interpreters_head: 32,
        },
        interpreter: InterpreterState {
            next: 0,
            threads_head: 8,
            collector: Collector::OfRuntime(368),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 176,
            frame: 24,
            frame_behind: None,
        },
        frame: FRAME_OBJECT,
        code: CODE_3_8,
        ascii_size: 48,
        heap_type_qualname: 864,
    },
    Layout {
        minor: 9,
        runtime: RuntimeState {
            interpreters_head: 32,
        },
        interpreter: InterpreterState {
            next: 0,
            threads_head: 8,
            collector: Collector::OfInterpreter(640),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 176,
            frame: 24,
            frame_behind: None,
        },
        frame: FRAME_OBJECT,
        code: CODE_3_8,
        ascii_size: 48,
        heap_type_qualname: 856,
    },
    Layout {
        minor: 10,
        runtime: RuntimeState {
            interpreters_head: 32,
        },
        interpreter: InterpreterState {
            next: 0,
            threads_head: 8,
            collector: Collector::OfInterpreter(640),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 176,
            frame: 24,
            frame_behind: None,
        },
        frame: Frame {
            position: 96,
            is: Position::Instructions,
            ..FRAME_OBJECT
        },
        code: Code {
            format: LineFormat::Ranges,
            ..CODE_3_8
        },
        ascii_size: 48,
        heap_type_qualname: 864,
    },
    Layout {
        minor: 11,
        runtime: RuntimeState {
            interpreters_head: 40,
        },
        interpreter: InterpreterState {
            next: 0,
            threads_head: 16,
            collector: Collector::OfInterpreter(672),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 152,
            frame: 56,
            frame_behind: Some(8),
        },
        frame: Frame {
            previous: 48,
            code: 32,
            position: 56,
            is: Position::Address { bytecode: 184 },
        },
        code: CODE_3_11,
        ascii_size: 48,
        heap_type_qualname: 864,
    },
    Layout {
        minor: 12,
        runtime: RuntimeState {
            interpreters_head: 40,
        },
        interpreter: InterpreterState {
            next: 0,
            threads_head: 72,
            collector: Collector::OfInterpreter(136),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 136,
            frame: 56,
            frame_behind: Some(0),
        },
        frame: Frame {
            previous: 8,
            code: 0,
            position: 56,
            is: Position::Address { bytecode: 192 },
        },
        code: Code {
            first_line: 68,
            ..CODE_3_11
        },
        ascii_size: 40,
        heap_type_qualname: 872,
    },
    // What a process of this version says of itself (`_Py_DebugOffsets`) comes before these.
    Layout {
        minor: 13,
        runtime: RuntimeState {
            interpreters_head: 632,
        },
        interpreter: InterpreterState {
            next: 7264,
            threads_head: 7344,
            collector: Collector::OfInterpreter(7424),
        },
        thread: ThreadState {
            next: 8,
            interpreter: 16,
            thread_id: 152,
            frame: 72,
            frame_behind: None,
        },
        frame: Frame {
            previous: 8,
            code: 0,
            position: 56,
            is: Position::Address { bytecode: 200 },
        },
        code: Code {
            first_line: 68,
            ..CODE_3_11
        },
        ascii_size: 40,
        heap_type_qualname: 872,
    },
];

#[cfg(test)]
mod tests {
    use super::{LAYOUTS, of};

    #[test]
    fn each_version_is_there_once_and_no_other() {
        let minors: Vec<u32> = LAYOUTS.iter().map(|layout| layout.minor).collect();
        assert_eq!(minors, [8, 9, 10, 11, 12, 13]);
        assert_eq!(of(7), None);
        assert_eq!(of(99), None);
    }
}
