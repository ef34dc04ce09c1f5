//! Copied user stacks become stacks of places in binaries, without frame pointers and without stopping anybody.
//!
//! An address is looked up in the executable mappings of its process ([`address_space`]), which leads to a module that all
//! processes share ([`modules`]); the walk ([`frames`]) happens in addresses as the module states them, so that what is
//! learned of a library in one process serves all others. What is read belongs to whoever is watched and may be broken on
//! purpose: sizes are limited, unwind tables are checked before they are used ([`cfi`]).

mod address_space;
mod arch;
mod cfi;
mod elf;
mod exports;
mod file;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod jit;
mod modules;
mod process_code;
mod scripts;
mod source;
mod stacks;
#[cfg(test)]
mod tests;
pub mod threads;

use std::collections::{HashMap, HashSet};

use self::{
    address_space::{AddressSpace, Found, Hurry},
    frames::{Code as _, Walker},
    jit::Jits,
    modules::Modules,
    process_code::ProcessCode,
    scripts::Scripts,
    stacks::Stacks,
};
use crate::model::{
    identity::ProcessId,
    stack::{CodeAddress, Module, ModuleId, ScriptFunction, ScriptStack, Sighting, Stack, StackEnd, StackId},
};

/// Executable mappings of all processes, bytes.
const MAX_ADDRESS_SPACES: usize = 8 << 20;

/// One program image of one process: its mappings are others after an `execve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// The process.
    pub process: ProcessId,
    /// Which of its images; see [`crate::model::snapshot`].
    pub exec_id: u32,
}

/// The registers of a thread that its stack is unwound from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Where it runs.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer: `rbp`, `x29`; 0 when not known.
    pub fp: u64,
    /// Link register, on aarch64; unused elsewhere.
    pub lr: u64,
}

/// How often stacks ended how, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackEnds {
    /// At the thread's first function.
    pub outermost: u64,
    /// At the end of the copy.
    pub copy_ended: u64,
    /// Somewhere, for want of a way on.
    pub lost: u64,
    /// At the most frames that are kept.
    pub too_deep: u64,
}

/// What the unwinder holds and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnwindUsage {
    /// Modules in the table.
    pub modules: usize,
    /// Those of them whose unwind tables are in memory.
    pub modules_loaded: usize,
    /// Processes whose mappings are known.
    pub address_spaces: usize,
    /// Different stacks in the table.
    pub stacks: usize,
    /// Memory of all that, bytes.
    pub bytes: usize,
    /// Stacks unwound.
    pub ends: StackEnds,
    /// Stacks not unwound: their process was gone before its mappings could be read.
    pub gone: u64,
    /// Stacks unwound and dropped: the table was full.
    pub refused: u64,
}

/// Turns copied stacks into [`Stack`]s, each different one once.
#[derive(Default)]
pub struct Unwinder {
    spaces: HashMap<Image, AddressSpace>,
    hurry: Hurry,
    modules: Modules,
    jits: Jits,
    scripts: Scripts,
    walker: Walker,
    stacks: Stacks,
    /// Reused from stack to stack.
    frames: Vec<CodeAddress>,
    clock: u64,
    ends: StackEnds,
    gone: u64,
    refused: u64,
}

impl Unwinder {
    /// Unwinds from `registers`; `memory` is what was copied from the stack pointer up.
    ///
    /// With `scripts` the frames are the native ones up to the interpreter, and then what it was running: its own functions
    /// say nothing about the program. What native code called it is not shown.
    pub fn unwind(
        &mut self,
        image: Image,
        registers: Registers,
        memory: &[u8],
        scripts: Option<&ScriptStack>,
    ) -> StackId {
        self.clock += 1;
        if !self.spaces.contains_key(&image) {
            let Ok(space) = AddressSpace::read(image.process.pid) else {
                self.gone += 1;
                return StackId::NONE;
            };
            self.spaces.insert(image, space);
            self.forget_address_spaces(image);
        }
        let Some(space) = self.spaces.get_mut(&image) else {
            return StackId::NONE;
        };
        space.last_used = self.clock;
        self.frames.clear();
        let mut code = ProcessCode {
            image,
            space,
            hurry: &mut self.hurry,
            modules: &mut self.modules,
            jits: &mut self.jits,
            scripts: &mut self.scripts,
        };
        let mut end = self.walker.walk(registers, memory, &mut code, &mut self.frames);
        if let Some(scripts) = scripts {
            let interpreter = code.locate(scripts.interpreter).map(|place| place.at.module);
            let is_interpreter = |frame: &CodeAddress| Some(frame.module) == interpreter;
            let native = self.frames.iter().position(is_interpreter);
            self.frames.truncate(native.unwrap_or(self.frames.len()));
            let functions = scripts.functions.iter();
            let functions = functions.filter_map(|function| self.scripts.frame(function.clone()));
            self.frames.extend(functions);
            end = if scripts.is_complete {
                StackEnd::Outermost
            } else {
                StackEnd::TooDeep
            };
        }
        let count = match end {
            StackEnd::Outermost => &mut self.ends.outermost,
            StackEnd::CopyEnded => &mut self.ends.copy_ended,
            StackEnd::Lost => &mut self.ends.lost,
            StackEnd::TooDeep => &mut self.ends.too_deep,
        };
        *count += 1;
        self.stacks.intern(&self.frames, end).unwrap_or_else(|| {
            self.refused += 1;
            StackId::NONE
        })
    }

    /// A stack; the one without frames for an id that is not in use any more.
    pub fn stack(&self, id: StackId) -> &Stack {
        self.stacks.get(id)
    }

    /// The function behind the address of a frame in [`ModuleId::SCRIPT`].
    pub fn script(&self, address: u64) -> Option<&ScriptFunction> {
        self.scripts.get(address)
    }

    /// A module of a stack that is in use.
    ///
    /// # Panics
    ///
    /// If the id is of no stack that is in use.
    pub fn module(&self, id: ModuleId) -> &Module {
        self.modules
            .get(id)
            .expect("a module lives as long as the stacks in it")
    }

    /// Forgets processes that are not alive, stacks that are not in use, and modules that neither needs.
    pub fn retain(&mut self, is_alive: &dyn Fn(&Image) -> bool, in_use: &HashSet<StackId>) {
        self.spaces.retain(|image, _| is_alive(image));
        self.jits.retain(is_alive);
        self.stacks.retain(in_use);
        let frames = self.stacks.iter().flat_map(|stack| &stack.frames);
        let (scripts, needed): (Vec<&CodeAddress>, Vec<&CodeAddress>) =
            frames.partition(|frame| frame.module == ModuleId::SCRIPT);
        let scripts = scripts.into_iter().map(|frame| frame.address).collect();
        self.scripts.retain(&scripts);
        let needed = needed.into_iter().map(|frame| frame.module).collect();
        let mut mapped = HashMap::new();
        for (&image, space) in &self.spaces {
            for mapping in space.mappings() {
                if let Found::Module(id) = mapping.found {
                    let pid = image.process.pid;
                    let mapping = (mapping.start, mapping.end);
                    mapped.insert(id, (image, Sighting { pid, mapping }));
                }
            }
        }
        self.modules.retain(&needed, &mapped, is_alive);
    }

    /// What it holds and did.
    pub fn usage(&self) -> UnwindUsage {
        UnwindUsage {
            modules: self.modules.len(),
            modules_loaded: self.modules.loaded(),
            address_spaces: self.spaces.len(),
            stacks: self.stacks.len(),
            bytes: self.modules.size()
                + self.jits.size()
                + self.scripts.size()
                + self.stacks.size()
                + self.address_spaces_size(),
            ends: self.ends,
            gone: self.gone,
            refused: self.refused,
        }
    }

    fn address_spaces_size(&self) -> usize {
        self.spaces.values().map(AddressSpace::size).sum()
    }

    /// Forgets the least recently used ones until they fit; they are read again when they are needed.
    fn forget_address_spaces(&mut self, keep: Image) {
        let mut size = self.address_spaces_size();
        while size > MAX_ADDRESS_SPACES {
            let others = self.spaces.iter().filter(|(image, _)| **image != keep);
            let Some((&oldest, space)) = others.min_by_key(|(_, space)| space.last_used) else {
                return;
            };
            size -= space.size();
            self.spaces.remove(&oldest);
        }
    }
}
