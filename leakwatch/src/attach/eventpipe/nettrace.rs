//! The stream of a tracing session: a Trace object and then blocks, each an object of its own
//! (microsoft/perfview src/TraceEvent/EventPipe/NetTraceFormat_v5.md, which describes version 4 as well). Little-endian.

use std::io::{self, Read};

use bytes::Buf as _;

use crate::attach::{Refused, process::call};

/// How it begins; the second is a string with its length before it.
const MAGIC: &[u8; 8] = b"Nettrace";
const SERIALIZATION: &[u8; 24] = b"\x14\0\0\0!FastSerialization.1";
/// What marks objects.
const NULL_REFERENCE: u8 = 1;
const BEGIN_PRIVATE_OBJECT: u8 = 5;
const END_OBJECT: u8 = 6;
/// Length of the name of a type at the most.
const MAX_NAME: usize = 64;
/// Fields of the Trace object, and where in them the size of a pointer is.
const TRACE: usize = 48;
const POINTER_SIZE: usize = 32;
/// Versions that are read.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=5;
/// Blocks begin at multiples of this in the stream.
const ALIGNMENT: u64 = 4;
/// Bytes of a block at the most; a runtime writes about 100 KiB.
const MAX_BLOCK: usize = 16 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Events,
    Metadata,
    SequencePoint,
    /// Stacks, or what a later version has.
    Other,
}

/// Reads a stream object by object; no more than one block of it is in memory.
pub(super) struct Nettrace<R> {
    reader: R,
    position: u64,
    block: Vec<u8>,
    pointer_size: usize,
}

impl<R: Read> Nettrace<R> {
    /// Reads up to the first block.
    pub(super) fn begin(reader: R) -> Result<Self, Refused> {
        let mut trace = Self {
            reader,
            position: 0,
            block: Vec::new(),
            pointer_size: 0,
        };
        if trace.array()? != *MAGIC || trace.array()? != *SERIALIZATION {
            return Err(Refused::Answer("it is no nettrace stream"));
        }
        let (name, version) = trace.object()?.ok_or(Refused::Answer("it is empty"))?;
        if name != b"Trace" || !VERSIONS.contains(&version) {
            return Err(Refused::Answer("its nettrace stream is of an unknown version"));
        }
        let fields: [u8; TRACE] = trace.array()?;
        trace.pointer_size = match fields[POINTER_SIZE..].first_chunk() {
            Some([4, 0, 0, 0]) => 4,
            Some([8, 0, 0, 0]) => 8,
            Some(_) | None => return Err(Refused::Answer("its pointers have neither 4 nor 8 bytes")),
        };
        trace.tag(END_OBJECT)?;
        Ok(trace)
    }

    /// Bytes of an address in the process.
    pub(super) fn pointer_size(&self) -> usize {
        self.pointer_size
    }

    /// The next block; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<(BlockKind, &[u8])>, Refused> {
        let Some((name, _)) = self.object()? else {
            return Ok(None);
        };
        let kind = match name.as_slice() {
            b"EventBlock" => BlockKind::Events,
            b"MetadataBlock" => BlockKind::Metadata,
            b"SPBlock" => BlockKind::SequencePoint,
            _ => BlockKind::Other,
        };
        let size = self.length(MAX_BLOCK, "a block of it is too long")?;
        let padding = self.position.next_multiple_of(ALIGNMENT) - self.position;
        for _ in 0..padding {
            let [_padding] = self.array()?;
        }
        self.block.resize(size, 0);
        self.reader.read_exact(&mut self.block).map_err(broken_off)?;
        self.position += size as u64;
        self.tag(END_OBJECT)?;
        Ok(Some((kind, &self.block)))
    }

    /// The beginning of an object: name and version of its type; `None` at the end of the stream.
    fn object(&mut self) -> Result<Option<(Vec<u8>, u32)>, Refused> {
        match self.array()? {
            [NULL_REFERENCE] => return Ok(None),
            [BEGIN_PRIVATE_OBJECT] => {}
            _ => return Err(Refused::Answer("there is no object where one must be")),
        }
        self.tag(BEGIN_PRIVATE_OBJECT)?;
        self.tag(NULL_REFERENCE)?;
        let version = u32::from_le_bytes(self.array()?);
        let _oldest_reader: [u8; 4] = self.array()?;
        let length = self.length(MAX_NAME, "the name of an object's type is too long")?;
        let mut name = vec![0; length];
        self.reader.read_exact(&mut name).map_err(broken_off)?;
        self.position += length as u64;
        self.tag(END_OBJECT)?;
        Ok(Some((name, version)))
    }

    fn length(&mut self, most: usize, too_long: &'static str) -> Result<usize, Refused> {
        let length: [u8; 4] = self.array()?;
        let length = usize::try_from(u32::from_le_bytes(length)).ok();
        length
            .filter(|&length| length <= most)
            .ok_or(Refused::Answer(too_long))
    }

    fn tag(&mut self, tag: u8) -> Result<(), Refused> {
        if self.array()? == [tag] {
            Ok(())
        } else {
            Err(Refused::Answer(
                "an object of it does not begin or end as it must",
            ))
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(broken_off)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

fn broken_off(error: io::Error) -> Refused {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Refused::Answer("it breaks off")
    } else {
        call("read from the diagnostics server".to_owned(), error)
    }
}

/// Threads of a sequence point, each with the number of its last event.
pub(super) fn sequence_point(block: &[u8]) -> Result<Vec<(u64, u32)>, Refused> {
    const BROKEN: Refused = Refused::Answer("a sequence point of it breaks off");
    let mut rest = block;
    let _when = rest.try_get_u64_le().map_err(|_| BROKEN)?;
    let threads = rest.try_get_u32_le().map_err(|_| BROKEN)?;
    // A thread takes twelve bytes, so that the block bounds them.
    (0..threads)
        .map(|_| {
            let thread = rest.try_get_u64_le().map_err(|_| BROKEN)?;
            Ok((thread, rest.try_get_u32_le().map_err(|_| BROKEN)?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
