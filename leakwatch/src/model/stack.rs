//! Call stacks as places in binaries: an address of one process means nothing to another one, nor after a restart; a build
//! id and an address inside that file does.

use serde::{Deserialize, Serialize};

/// A module in the table that handed it out; valid as long as that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u32);

impl ModuleId {
    /// Not a file: code of an interpreter, or of a compiler at run time that said what it is. The address of such a frame is the
    /// number of a [`ScriptFunction`].
    pub const SCRIPT: Self = Self(u32::MAX);
}

/// A stack in the table that handed it out; valid as long as that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StackId(pub u32);

impl StackId {
    /// The stack without frames: it was not taken, or its process was gone before its mappings could be read.
    pub const NONE: Self = Self(0);
}

/// What code was mapped from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModuleKind {
    /// An ELF file.
    Elf,
    /// The kernel's own library in every process.
    Vdso,
    /// Memory that some process made executable itself: a JIT compiler's. Belongs to that process alone.
    Anonymous,
}

/// Something that holds code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// What it was mapped from.
    pub kind: ModuleKind,
    /// Path in the mount namespace of the process that mapped it; control characters are replaced. `[vdso]`, `[anon]`.
    pub path: String,
    /// `NT_GNU_BUILD_ID`, or Go's build id where there is no such note; `None` for a file without either.
    pub build_id: Option<Box<[u8]>>,
    /// How to read it while a process that maps it lives.
    pub seen: Option<Sighting>,
}

/// A process that mapped a module when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Thread group id in the initial PID namespace.
    pub pid: u32,
    /// One of its mappings of the module, first byte and first byte after: names the link in `/proc/PID/map_files`.
    pub mapping: (u64, u64),
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeAddress {
    /// Where the code is.
    pub module: ModuleId,
    /// The address as the ELF file states it (before relocation); in anonymous memory the address in the process. For a
    /// caller it is inside the call instruction (the return address less one), so that it looks up as the line of the call.
    pub address: u64,
}

/// Whether a stack is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackEnd {
    /// It reaches the thread's first function.
    Outermost,
    /// The copy of the stack was shorter than the stack.
    CopyEnded,
    /// The unwinder lost its way: no unwind tables and no frame pointer there, or a broken one.
    Lost,
    /// As many frames as are kept.
    TooDeep,
}

/// A call stack, innermost frame first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// Frames.
    pub frames: Box<[CodeAddress]>,
    /// Whether that is all of it.
    pub end: StackEnd,
}

/// A function that covers an address. Several cover one where the compiler inlined calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Demangled name; control characters are replaced.
    pub name: String,
    /// Source file, when the debug information says.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

/// A function of a program that an interpreter or a compiler at run time runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScriptFunction {
    /// Whose it is: `python`, `node`, ...
    pub runtime: &'static str,
    /// Its name, file and line, as the runtime has them.
    pub function: Function,
}

/// What an interpreter was running when a stack was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStack {
    /// Innermost first.
    pub functions: Vec<ScriptFunction>,
    /// Whether these are all: no more were taken than fit into a record.
    pub is_complete: bool,
    /// An address in the code of the interpreter itself, in the process.
    pub interpreter: u64,
}

/// What is known about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The functions there, the innermost inlined one first; never empty.
    Functions(Box<[Function]>),
    /// No name, and why: `no symbols`, `file gone`, `process gone`, ...
    Unknown(&'static str),
}
