//! From copied stacks to names: the two stages that read binaries, as the pure stages see them.

use std::{collections::HashSet, fmt::Write as _, io, time::Duration};

use leakwatch_common::levels::ThreadRow;

use crate::{
    aggregate::{Host, Unwind},
    assemble::Names,
    decode::CopiedStack,
    model::{
        health::CallSitesHealth,
        identity::ProcessId,
        snapshot::FrameRow,
        stack::{CodeAddress, Module, ModuleId, ScriptFunction, StackEnd, StackId, Symbol},
    },
    runtimes::Interpreters,
    symbols::Symbols,
    unwind::{Image, Registers, Unwinder, threads},
};

/// Unwinds and names.
pub struct CallSites {
    unwinder: Unwinder,
    symbols: Symbols,
    interpreters: Interpreters,
    /// Where a waiting thread's stack is read into.
    memory: Vec<u8>,
}

impl CallSites {
    /// Starts the thread that names.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            unwinder: Unwinder::default(),
            symbols: Symbols::start()?,
            interpreters: Interpreters::default(),
            memory: Vec::new(),
        })
    }

    /// Forgets programs that have ended, and stacks that nothing refers to.
    pub fn sweep(&mut self, host: &Host) {
        let alive: HashSet<Image> = host
            .processes()
            .map(|process| Image {
                process: process.id,
                exec_id: process.row.exec_id,
            })
            .collect();
        self.unwinder
            .retain(&|image| alive.contains(image), &host.stacks());
        self.interpreters
            .retain(&|process, exec_id| alive.contains(&Image { process, exec_id }));
    }

    /// Processes whose frames are taken with their stacks.
    pub fn interpreters(&mut self) -> &mut Interpreters {
        &mut self.interpreters
    }

    /// What it did, and what it keeps.
    pub fn health(&self) -> CallSitesHealth {
        let unwound = self.unwinder.usage();
        let named = self.symbols.usage();
        CallSitesHealth {
            complete: unwound.ends.outermost,
            cut: unwound.ends.copy_ended + unwound.ends.too_deep,
            lost: unwound.ends.lost,
            gone: unwound.gone,
            stacks: unwound.stacks as u64,
            unwind_bytes: unwound.bytes as u64,
            symbols: named.symbols as u64,
            symbol_bytes: named.symbol_bytes as u64 + named.file_bytes,
        }
    }

    /// Waits until every name that was asked for is found, or is known not to be. Whether there was one to wait for.
    pub fn settle(&mut self, timeout: Duration) -> bool {
        let waited = self.symbols.usage().waiting > 0;
        self.symbols.settle(timeout);
        waited
    }
}

impl Unwind for CallSites {
    fn copied(&mut self, stack: &CopiedStack) -> StackId {
        let taken = &stack.taken;
        let image = Image {
            process: ProcessId {
                pid: taken.tgid,
                start_time_ns: taken.start_boottime_ns,
            },
            exec_id: taken.exec_id,
        };
        let registers = Registers {
            pc: taken.pc,
            sp: taken.sp,
            fp: taken.fp,
            lr: taken.lr,
        };
        let scripts = self
            .interpreters
            .stack(image.process, image.exec_id, &stack.frames);
        self.unwinder
            .unwind(image, registers, &stack.memory, scripts.as_ref())
    }

    fn waiting(&mut self, thread: &ThreadRow, process: ProcessId, exec_id: u32) -> StackId {
        let image = Image { process, exec_id };
        let registers = Registers {
            pc: thread.pc,
            sp: thread.sp,
            fp: thread.fp,
            lr: thread.lr,
        };
        // A thread that has ended leaves its program counter.
        let _ = threads::read(thread.tgid, thread.sp, &mut self.memory);
        self.unwinder.unwind(image, registers, &self.memory, None)
    }
}

impl Names for CallSites {
    fn frames(&mut self, stack: StackId) -> (Vec<FrameRow>, Option<String>) {
        let stack = self.unwinder.stack(stack);
        let mut rows = Vec::with_capacity(stack.frames.len());
        for &address in &stack.frames {
            if address.module == ModuleId::SCRIPT {
                rows.extend(self.unwinder.script(address.address).map(of_script));
                continue;
            }
            let module = self.unwinder.module(address.module);
            let symbol = self.symbols.look_up(module, address.address);
            named(module, address, symbol.as_deref(), &mut rows);
        }
        (rows, cut(stack.end).map(str::to_owned))
    }
}

/// A function that is in no file.
fn of_script(script: &ScriptFunction) -> FrameRow {
    let ScriptFunction { runtime, function } = script.clone();
    FrameRow {
        function: Some(function.name),
        file: function.file,
        line: function.line,
        module: format!("[{runtime}]"),
        build_id: None,
        address: 0,
        inlined: false,
        reason: None,
    }
}

/// One frame becomes one row for each function that was inlined there. One that is being looked up has neither a name nor a
/// reason for having none.
fn named(module: &Module, address: CodeAddress, symbol: Option<&Symbol>, rows: &mut Vec<FrameRow>) {
    let unnamed = FrameRow {
        function: None,
        file: None,
        line: None,
        module: module.path.clone(),
        build_id: module.build_id.as_deref().map(hexadecimal),
        address: address.address,
        inlined: false,
        reason: None,
    };
    match symbol {
        None => rows.push(unnamed),
        Some(Symbol::Unknown(reason)) => rows.push(FrameRow {
            reason: Some((*reason).to_owned()),
            ..unnamed
        }),
        Some(Symbol::Functions(functions)) => {
            let outermost = functions.len().saturating_sub(1);
            rows.extend(functions.iter().enumerate().map(|(index, function)| FrameRow {
                function: Some(function.name.clone()),
                file: function.file.clone(),
                line: function.line,
                inlined: index < outermost,
                ..unnamed.clone()
            }));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn cut(end: StackEnd) -> Option<&'static str> {
    match end {
        StackEnd::Outermost => None,
        StackEnd::CopyEnded => Some("the stack is deeper than what is copied of it"),
        StackEnd::Lost => {
            Some("no way on from the outermost frame: neither unwind tables nor a frame pointer")
        }
        StackEnd::TooDeep => Some("more frames than are kept"),
    }
}
