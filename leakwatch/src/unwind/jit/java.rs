//! Frames of Java on HotSpot. Its interpreter keeps frame pointers, its compilers keep none: there the size of the frame is
//! with the code (`frame_x86.hpp`, `frame_aarch64.hpp`: both lay them out alike).
//!
//! What a compiler has inlined is named after the method that it was inlined into.

use std::fs::File;

use super::{Caller, FrameMemory, JitFrames, NativeFrame, ProcessMemory, known::Known};
use crate::{
    hotspot::{
        self,
        code::{Blob, BlobKind, CodeCache},
        method::Methods,
    },
    model::stack::{Function, ScriptFunction},
};

/// Whose methods they are, as it is shown.
const RUNTIME: &str = crate::model::runtime::JAVA;
/// Words of an interpreter's frame, by their distance from the frame pointer, bytes.
const SENDER_SP: i64 = -8;
const METHOD: i64 = -24;
/// An interpreter's frame is no longer than this, bytes.
const MAX_FRAME: u64 = 1 << 20;

/// Names the frames of one program.
pub(super) struct Java {
    code: CodeCache,
    methods: Methods,
    /// Where the interpreter is; it stays there.
    interpreter: Option<Blob>,
    /// Methods, with their fingerprints.
    known: Known<u64>,
}

impl Java {
    /// Finds out how this process lays out its code; `bias` is added to addresses in `libjvm`.
    pub(super) fn new(libjvm: File, bias: u64, memory: &mut ProcessMemory) -> Result<Self, hotspot::Unknown> {
        let structs = hotspot::structs(libjvm, bias, memory)?;
        let release = hotspot::release(&structs, memory)?;
        if !hotspot::is_known(&release) {
            return Err(hotspot::Unknown::Release(release));
        }
        Ok(Self {
            code: CodeCache::read(&structs, memory)?,
            methods: Methods::new(&structs)?,
            interpreter: None,
            known: Known::default(),
        })
    }

    fn blob(&mut self, pc: u64, memory: &mut FrameMemory<'_>) -> Option<Blob> {
        if let Some(interpreter) = self.interpreter
            && (interpreter.address..interpreter.end).contains(&pc)
        {
            return Some(interpreter);
        }
        let blob = self.code.blob(pc, memory)?;
        if blob.kind == BlobKind::Interpreter {
            self.interpreter = Some(blob);
        }
        Some(blob)
    }

    fn function(&mut self, method: u64, memory: &mut FrameMemory<'_>) -> Option<ScriptFunction> {
        let fingerprint = self.methods.fingerprint(method, memory)?;
        if let Some(function) = self.known.get(method, |&known| known == fingerprint) {
            return Some(function);
        }
        let name = self.methods.name(fingerprint, memory)?;
        let function = ScriptFunction {
            runtime: RUNTIME,
            function: Function {
                name,
                file: None,
                line: None,
            },
        };
        self.known.insert(method, fingerprint, function.clone());
        Some(function)
    }
}

impl JitFrames for Java {
    fn caller(&mut self, frame: NativeFrame, memory: &mut FrameMemory<'_>) -> Option<Caller> {
        let blob = self.blob(frame.pc, memory)?;
        let word = |address: u64| memory.stack.read(address);
        let caller = match blob.kind {
            BlobKind::Interpreter => Caller {
                pc: word(frame.fp.checked_add(8)?)?,
                sp: word(frame.fp.checked_add_signed(SENDER_SP)?)?,
                fp: word(frame.fp)?,
            },
            BlobKind::Compiled | BlobKind::Other if blob.frame_bytes >= 16 => {
                let sp = frame.sp.checked_add(blob.frame_bytes)?;
                Caller {
                    pc: word(sp.checked_sub(8)?)?,
                    sp,
                    fp: word(sp.checked_sub(16)?)?,
                }
            }
            BlobKind::Compiled | BlobKind::Other => return None,
        };
        let is_outwards = caller.sp > frame.sp && caller.sp - frame.sp <= MAX_FRAME;
        is_outwards.then_some(caller)
    }

    fn functions(&mut self, frame: NativeFrame, memory: &mut FrameMemory<'_>) -> Option<Vec<ScriptFunction>> {
        let blob = self.blob(frame.pc, memory)?;
        let method = match blob.kind {
            BlobKind::Interpreter => memory.stack.read(frame.fp.checked_add_signed(METHOD)?)?,
            BlobKind::Compiled => self.code.method(&blob, memory)?,
            BlobKind::Other => return None,
        };
        Some(vec![self.function(method, memory)?])
    }

    fn size(&self) -> usize {
        self.known.size()
    }
}
