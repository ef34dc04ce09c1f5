//! A file into ticks. Trusts nothing in it: a recording may come from anybody.

use std::io::{self, Read};

use zstd::{
    stream::raw::{Decoder, Operation as _},
    zstd_safe::DParameter,
};

use super::{
    error::RecordError,
    foreign::Looks,
    format::{ChunkHead, ChunkKind, FORMAT, Header, Layout, MAGIC, MAX_HEADER, MAX_TICK, WINDOW_LOG},
};

/// How much of a foreign file is looked at, bytes.
const BEGINNING: u64 = 4096;
/// Bytes before the document of the header.
const FIXED: usize = MAGIC.len() + 2 + 4;
/// Memory grows by so much while a tick is decompressed, whatever the file says of its size, bytes.
const STEP: usize = 64 << 10;

/// A fuzzer gets no checksum right, and what is behind them is what it is for.
const CHECKS: bool = !cfg!(fuzzing);

/// Reads a recording.
pub(super) struct Reader<R> {
    input: R,
    decompressor: Decoder<'static>,
    /// Bytes read so far, whole pieces only.
    offset: u64,
    /// Number of the next chunk.
    next: u32,
}

/// What comes next in a recording.
#[derive(Debug)]
pub(super) enum Piece {
    /// A tick, decompressed.
    Tick(Vec<u8>),
    /// The mark of the end.
    End,
    /// The file ends without it.
    CutShort,
}

/// Why there is no next piece.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Some bytes are not what was written.
    Damaged { offset: u64, what: &'static str },
    /// The system refused.
    Io(io::Error),
}

impl<R: Read> Reader<R> {
    pub(super) fn open(mut input: R) -> Result<(Self, Header), RecordError> {
        let (header, offset) = header(&mut input)?;
        let mut decompressor = Decoder::new().map_err(unreadable)?;
        decompressor
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(unreadable)?;
        let reader = Self {
            input,
            decompressor,
            offset,
            next: 0,
        };
        Ok((reader, header))
    }

    /// Where the next piece begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn next(&mut self) -> Result<Piece, Trouble> {
        let damaged = |offset, what| Err(Trouble::Damaged { offset, what });
        let mut head = Vec::new();
        read_up_to(&mut self.input, ChunkHead::LENGTH, &mut head).map_err(Trouble::Io)?;
        let Ok(head) = <[u8; ChunkHead::LENGTH]>::try_from(head) else {
            return Ok(Piece::CutShort);
        };
        let Some(head) = ChunkHead::from_bytes(&head) else {
            return damaged(self.offset, "the head of a tick");
        };
        if head.number != self.next {
            return damaged(self.offset, "a tick is missing");
        }
        if head.size > MAX_TICK || head.length > MAX_TICK {
            return damaged(self.offset, "the size of a tick");
        }
        let mut payload = Vec::new();
        let length = head.length as usize;
        read_up_to(&mut self.input, length, &mut payload).map_err(Trouble::Io)?;
        if payload.len() < length {
            return Ok(Piece::CutShort);
        }
        if CHECKS && crc32c::crc32c(&payload) != head.crc {
            return damaged(self.offset, "the checksum of a tick");
        }
        if head.kind == ChunkKind::End {
            return Ok(Piece::End);
        }
        let Some(tick) = self.decompress(&payload, head.size as usize) else {
            return damaged(self.offset, "the compression of a tick");
        };
        self.offset += (ChunkHead::LENGTH + length) as u64;
        self.next += 1;
        Ok(Piece::Tick(tick))
    }

    /// `None` unless all of the payload is exactly so many bytes.
    fn decompress(&mut self, mut payload: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut tick = Vec::new();
        loop {
            let filled = tick.len();
            tick.resize(filled + STEP, 0);
            let done = self
                .decompressor
                .run_on_buffers(payload, &mut tick[filled..])
                .ok()?;
            tick.truncate(filled + done.bytes_written);
            payload = payload.get(done.bytes_read..)?;
            if tick.len() > size {
                return None;
            }
            if done.bytes_written < STEP {
                // There was room left, so there is nothing more to come of what was read.
                return (payload.is_empty() && tick.len() == size).then_some(tick);
            }
        }
    }
}

/// The header, and how many bytes it took.
fn header(input: &mut impl Read) -> Result<(Header, u64), RecordError> {
    let mut bytes = Vec::new();
    read_up_to(input, FIXED, &mut bytes).map_err(unreadable)?;
    if !bytes.starts_with(&MAGIC) {
        if !bytes.is_empty() && MAGIC.starts_with(&bytes) {
            return Err(RecordError::NoHeader);
        }
        input
            .take(BEGINNING)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        return Err(RecordError::Foreign(Looks::of(&bytes)));
    }
    let &[.., f0, f1, l0, l1, l2, l3] = bytes.as_slice() else {
        return Err(RecordError::NoHeader);
    };
    if bytes.len() < FIXED {
        return Err(RecordError::NoHeader);
    }
    let format = u16::from_le_bytes([f0, f1]);
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length > MAX_HEADER {
        return Err(damaged_header());
    }
    let end = FIXED + length as usize;
    read_up_to(input, length as usize + 4, &mut bytes).map_err(unreadable)?;
    let Some((document, crc)) = bytes.split_at_checked(end).filter(|(_, crc)| crc.len() == 4) else {
        return Err(RecordError::NoHeader);
    };
    if CHECKS && crc != crc32c::crc32c(document).to_le_bytes() {
        return Err(damaged_header());
    }
    Ok((understood(format, &document[FIXED..])?, bytes.len() as u64))
}

fn understood(format: u16, document: &[u8]) -> Result<Header, RecordError> {
    /// What is in the header of every format.
    #[derive(serde::Deserialize)]
    struct Always {
        tool_version: String,
    }
    let Always { tool_version } = serde_json::from_slice(document).map_err(|_| damaged_header())?;
    if format > FORMAT {
        return Err(RecordError::Newer { tool_version, format });
    }
    let header: Header = serde_json::from_slice(document).map_err(|_| damaged_header())?;
    if !header.layout.is_read_by(&Layout::own()) {
        let machine = header.layout.machine;
        return Err(RecordError::Layout {
            tool_version,
            machine,
        });
    }
    Ok(header)
}

fn damaged_header() -> RecordError {
    RecordError::Damaged {
        offset: 0,
        what: "the header",
        ticks: 0,
        until_unix_ms: None,
    }
}

/// Appends as many bytes as there are, at most `length`.
fn read_up_to(input: &mut impl Read, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    input.take(length as u64).read_to_end(bytes).map(drop)
}

pub(super) fn unreadable(source: io::Error) -> RecordError {
    RecordError::Io {
        what: "read from",
        source,
    }
}
