//! Functions that no file has: an interpreter runs them, or a JIT compiler made their code. Whoever runs them keeps data from
//! which a frame of theirs can be told and named.
//!
//! A runtime is recognised by a symbol that its own binary exports, and looks at every frame of the processes that map that
//! binary. It reads the copied stack first and then the process, which ran on meanwhile: so it has to check what it finds.

mod dotnet;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod java;
mod javascript;
mod known;

use std::{collections::HashMap, io, sync::Arc};

use self::{dotnet::DotNet, java::Java, javascript::JavaScript};
use super::{
    Image,
    file::{FileId, FoundFile},
    frames::Copied,
    threads::read_memory,
};
use crate::{
    coreclr, hotspot,
    model::stack::ScriptFunction,
    target_memory::TargetMemory,
    v8::{self, metadata::Layout},
};

/// Most files of which it is remembered how their runtime lays out its data.
const MAX_FILES: usize = 64;

/// Runtimes that name frames of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JitRuntime {
    /// V8, in node and whatever else embeds it.
    V8,
    /// The Java virtual machine of OpenJDK.
    HotSpot,
    /// The runtime of .NET.
    CoreClr,
}

/// An exported symbol by which a file is known to hold a runtime.
pub(super) const MARKS: &[(&str, JitRuntime)] = &[
    (v8::MARK, JitRuntime::V8),
    (hotspot::MARK, JitRuntime::HotSpot),
    (coreclr::MARK, JitRuntime::CoreClr),
];

/// A frame of native code, while the walk is at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NativeFrame {
    /// Where it runs, an address in the process; inside the call instruction if it is a caller.
    pub(super) pc: u64,
    /// Its stack pointer: behind what it has given to the function that it has called.
    pub(super) sp: u64,
    /// Its frame pointer, as far as the unwinder knows.
    pub(super) fp: u64,
    /// Its code is in no file.
    pub(super) is_made: bool,
}

/// Registers as they are when a frame has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// The return address.
    pub(super) pc: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
}

/// Names the frames of one program image.
pub(super) trait JitFrames {
    /// Who has called a frame of this runtime's that does not keep frame pointers as other code does.
    fn caller(&mut self, _frame: NativeFrame, _memory: &mut FrameMemory<'_>) -> Option<Caller> {
        None
    }

    /// The functions that run in a frame, the innermost inlined one first; nothing when it is none of this runtime's.
    fn functions(&mut self, frame: NativeFrame, memory: &mut FrameMemory<'_>) -> Option<Vec<ScriptFunction>>;

    /// Memory that it keeps, bytes.
    fn size(&self) -> usize;
}

/// The copied stack of a thread, and the memory of its process as it is now.
pub(super) struct FrameMemory<'a> {
    pub(super) pid: u32,
    pub(super) stack: &'a Copied<'a>,
}

impl TargetMemory for FrameMemory<'_> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        if let Some(copied) = self.stack.bytes(address, buffer.len()) {
            buffer.copy_from_slice(copied);
            return Ok(());
        }
        ProcessMemory { pid: self.pid }.read(address, buffer)
    }
}

/// The memory of a process as it is now.
pub(super) struct ProcessMemory {
    pub(super) pid: u32,
}

impl TargetMemory for ProcessMemory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        if read_memory(self.pid, address, buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// What names the frames of each program image that has such a runtime.
#[derive(Default)]
pub(super) struct Jits {
    images: HashMap<Image, Option<Box<dyn JitFrames>>>,
    /// Layouts by file: the same for all that run it.
    v8: HashMap<FileId, Option<Arc<Layout>>>,
}

impl Jits {
    pub(super) fn knows(&self, image: Image) -> bool {
        self.images.contains_key(&image)
    }

    pub(super) fn of(&mut self, image: Image) -> Option<&mut dyn JitFrames> {
        match self.images.get_mut(&image)? {
            Some(frames) => Some(&mut **frames),
            None => None,
        }
    }

    /// An image has this runtime, in that file of this path; `bias` is added to addresses in the file to have those in the
    /// process. One whose layout is not known names nothing.
    pub(super) fn add(
        &mut self,
        image: Image,
        runtime: JitRuntime,
        (path, file): (&[u8], &FoundFile),
        bias: u64,
    ) {
        let frames: Option<Box<dyn JitFrames>> = match runtime {
            JitRuntime::V8 => self
                .layout(file)
                .map(|layout| Box::new(JavaScript::new(layout)) as Box<dyn JitFrames>),
            JitRuntime::CoreClr => dotnet(path).map(|dotnet| Box::new(dotnet) as Box<dyn JitFrames>),
            JitRuntime::HotSpot => java(image, file, bias).map(|java| Box::new(java) as Box<dyn JitFrames>),
        };
        self.images.insert(image, frames);
    }

    fn layout(&mut self, file: &FoundFile) -> Option<Arc<Layout>> {
        if self.v8.len() >= MAX_FILES {
            self.v8.clear();
        }
        let read = || {
            let layout = Layout::of_file(file.open().ok()?);
            let failed = |why: &v8::metadata::Unknown| log::info!("no frames of JavaScript are named: {why}");
            layout.inspect_err(failed).ok().map(Arc::new)
        };
        self.v8.entry(file.id).or_insert_with(read).clone()
    }

    /// Forgets programs that are not alive.
    pub(super) fn retain(&mut self, is_alive: &dyn Fn(&Image) -> bool) {
        self.images.retain(|image, _| is_alive(image));
    }

    /// Memory of all that, bytes.
    pub(super) fn size(&self) -> usize {
        self.images.values().flatten().map(|frames| frames.size()).sum()
    }
}

fn java(image: Image, file: &FoundFile, bias: u64) -> Option<Java> {
    let mut memory = ProcessMemory {
        pid: image.process.pid,
    };
    let failed = |why: &hotspot::Unknown| log::info!("no frames of Java are named: {why}");
    Java::new(file.open().ok()?, bias, &mut memory)
        .inspect_err(failed)
        .ok()
}

fn dotnet(path: &[u8]) -> Option<DotNet> {
    let path = String::from_utf8_lossy(path);
    let is_known = coreclr::version(&path).is_some_and(coreclr::is_known);
    if !is_known {
        log::info!("no frames of .NET are named: the layout of {path} is not known");
    }
    is_known.then(DotNet::default)
}
