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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_memory::made_up::MadeUp;

    const START: u64 = 0x10_0000;
    const SEGMENTS: u64 = 0x20_0000;

    /// One heap of 8 segments of 128 bytes: a compiled method in the first three, nothing, the interpreter in two.
    fn cache() -> (CodeCache, MadeUp) {
        let cache = CodeCache {
            heaps: vec![CodeHeap {
                start: START,
                end: START + 1024,
                segments: SEGMENTS,
                log2_segment: 7,
            }],
            header: 16,
            name: 8,
            size: 24,
            frame_size: 44,
            method: 80,
        };
        let mut memory = MadeUp::default();
        memory.put(SEGMENTS, &[0, 1, 1, FREE, 0, 1, FREE, FREE]);
        for (segment, name, size, frame) in [(0, 0x3000, 360, 6_u32), (4, 0x4000, 200, u32::MAX)] {
            let blob = START + segment * 128 + 16;
            memory.put(blob, &[0; 96]);
            memory.put_words(blob + 8, &[name]);
            memory.put(blob + 24, &u32::to_le_bytes(size));
            memory.put(blob + 44, &frame.to_le_bytes());
            memory.put_words(blob + 80, &[0x5000]);
        }
        memory.put(0x3000, b"nmethod\0--------");
        memory.put(0x4000, b"Interpreter\0----");
        (cache, memory)
    }

    #[test]
    fn a_piece_is_found_from_any_of_its_addresses() {
        let (cache, mut memory) = cache();
        for pc in [START + 16, START + 130, START + 375] {
            let blob = cache.blob(pc, &mut memory).expect("code");
            assert_eq!((blob.address, blob.frame_bytes), (START + 16, 48));
            assert_eq!(blob.kind, BlobKind::Compiled);
            assert_eq!(cache.method(&blob, &mut memory), Some(0x5000));
        }
        let interpreter = cache.blob(START + 700, &mut memory).expect("code");
        assert_eq!(interpreter.kind, BlobKind::Interpreter);
        assert_eq!(interpreter.frame_bytes, 0, "-1 is no size");
        for pc in [START - 1, START, START + 380, START + 400, START + 1024] {
            assert_eq!(cache.blob(pc, &mut memory), None, "{pc:x}");
        }
    }

    #[test]
    fn any_byte_of_it_may_be_anything() {
        let (cache, whole) = cache();
        for address in whole.addresses() {
            for byte in [0, 1, 0x7f, 0xfe, 0xff] {
                let mut memory = whole.clone();
                memory.put(address, &[byte]);
                for segment in 0..8 {
                    let _ = cache.blob(START + segment * 128 + 64, &mut memory);
                }
            }
        }
    }
}
