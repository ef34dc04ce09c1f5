//! Code that HotSpot makes: which piece of it an address is in, and how its frames look (`codeCache.hpp`, `heap.hpp`,
//! `codeBlob.hpp`).

use super::{Unknown, vm_structs::VmStructs};
use crate::target_memory::TargetMemory;

/// More heaps of code than a JVM has: non-methods, profiled and not profiled ones.
const MAX_HEAPS: u32 = 8;
/// In the map of segments: this one is free.
const FREE: u8 = 0xff;
/// Steps back to the first segment of a piece; a step is 254 segments long if the piece is.
const MAX_STEPS: u32 = 4096;
/// Longest name of a piece that matters.
const MAX_NAME: usize = 16;

/// The heaps of code of one process.
#[derive(Clone, Debug)]
pub(crate) struct CodeCache {
    heaps: Vec<CodeHeap>,
    header: u64,
    name: u64,
    size: u64,
    frame_size: u64,
    method: u64,
}

#[derive(Clone, Copy, Debug)]
struct CodeHeap {
    start: u64,
    end: u64,
    /// A byte for each segment: how far back the piece begins, or a step on the way there.
    segments: u64,
    log2_segment: u32,
}

/// A piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) address: u64,
    pub(crate) end: u64,
    /// Bytes from the stack pointer to the caller's; 0 when its frames have no fixed size.
    pub(crate) frame_bytes: u64,
    pub(crate) kind: BlobKind,
}

/// What runs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlobKind {
    Interpreter,
    /// A method that is compiled, or the way to one that is native.
    Compiled,
    /// What the JVM needs itself.
    Other,
}

impl CodeCache {
    /// Finds the heaps.
    ///
    /// # Errors
    /// When the JVM does not say where they are.
    pub(crate) fn read(structs: &VmStructs, memory: &mut impl TargetMemory) -> Result<Self, Unknown> {
        let list = memory.word(structs.address(&[("CodeCache", "_heaps")])?)?;
        let length = structs.offset(&[("GrowableArrayBase", "_len"), ("GenericGrowableArray", "_len")])?;
        let data = structs.offset(&[("GrowableArray<int>", "_data")])?;
        let space = structs.offset(&[("CodeHeap", "_memory")])?;
        let segments = structs.offset(&[("CodeHeap", "_segmap")])?;
        let log2 = structs.offset(&[("CodeHeap", "_log2_segment_size")])?;
        let low = structs.offset(&[("VirtualSpace", "_low_boundary")])?;
        let high = structs.offset(&[("VirtualSpace", "_high_boundary")])?;
        let length = half(plus(list, length)?, memory)?;
        let first = memory.word(plus(list, data)?)?;
        if length > MAX_HEAPS {
            return Err(Unknown::Layout("a wrong number of heaps of code"));
        }
        let mut heaps = Vec::new();
        for index in 0..u64::from(length) {
            let heap = memory.word(plus(first, index * 8)?)?;
            let heap = CodeHeap {
                start: memory.word(plus(heap, space + low)?)?,
                end: memory.word(plus(heap, space + high)?)?,
                segments: memory.word(plus(heap, segments + low)?)?,
                log2_segment: half(plus(heap, log2)?, memory)?,
            };
            if heap.start >= heap.end || heap.end >= 1 << 56 || !(3..16).contains(&heap.log2_segment) {
                return Err(Unknown::Layout("a heap of code is not where one can be"));
            }
            heaps.push(heap);
        }
        Ok(Self {
            heaps,
            header: structs.size("HeapBlock")?,
            name: structs.offset(&[("CodeBlob", "_name")])?,
            size: structs.offset(&[("CodeBlob", "_size")])?,
            frame_size: structs.offset(&[("CodeBlob", "_frame_size")])?,
            method: structs.offset(&[("nmethod", "_method"), ("CompiledMethod", "_method")])?,
        })
    }

    /// The piece of code at `pc`; `None` when there is none.
    pub(crate) fn blob(&self, pc: u64, memory: &mut impl TargetMemory) -> Option<Blob> {
        let heap = self
            .heaps
            .iter()
            .find(|heap| (heap.start..heap.end).contains(&pc))?;
        let mut segment = (pc - heap.start) >> heap.log2_segment;
        let mut steps = 0;
        loop {
            let mut step = [0];
            memory.read(heap.segments.checked_add(segment)?, &mut step).ok()?;
            match step {
                [0] => break,
                [FREE] => return None,
                [back] => segment = segment.checked_sub(back.into())?,
            }
            steps += 1;
            if steps == MAX_STEPS {
                return None;
            }
        }
        let address = heap.start + (segment << heap.log2_segment) + self.header;
        let size = half(address + self.size, memory).ok()?;
        let end = address + u64::from(size);
        let frame = half(address + self.frame_size, memory).ok()?;
        let name = memory.word(address + self.name).ok()?;
        let mut text = [0; MAX_NAME];
        memory.read(name, &mut text).ok()?;
        let text = text.split(|&byte| byte == 0).next()?;
        let kind = match text {
            b"Interpreter" => BlobKind::Interpreter,
            b"nmethod" | b"native nmethod" => BlobKind::Compiled,
            _ => BlobKind::Other,
        };
        (address..end).contains(&pc).then_some(Blob {
            address,
            end,
            // No frame is longer than a stack; -1 is none.
            frame_bytes: if frame < 1 << 16 { u64::from(frame) * 8 } else { 0 },
            kind,
        })
    }

    /// The method that a compiled piece of code is of.
    pub(crate) fn method(&self, blob: &Blob, memory: &mut impl TargetMemory) -> Option<u64> {
        memory.word(blob.address + self.method).ok()
    }
}

fn plus(address: u64, offset: u64) -> Result<u64, Unknown> {
    let sum = address.checked_add(offset).filter(|_| address != 0);
    sum.ok_or(Unknown::Layout("a link in its code leads nowhere"))
}

fn half(address: u64, memory: &mut impl TargetMemory) -> Result<u32, Unknown> {
    let mut bytes = [0; 4];
    memory.read(address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
