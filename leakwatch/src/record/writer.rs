//! Ticks into a file, each whole on its own.

use std::io::{self, Write};

use zstd::zstd_safe::CParameter;

use super::{
    error::RecordError,
    format::{ChunkHead, ChunkKind, FORMAT, Header, MAGIC, MAX_TICK, WINDOW_LOG},
};

/// The level at which a tick of a small host takes about a millisecond.
const LEVEL: i32 = 3;

/// Writes a recording. Dropping it marks the end; a file without that mark reads as cut short.
pub(super) struct Writer<W: Write> {
    output: W,
    compressor: zstd::stream::write::Encoder<'static, Vec<u8>>,
    ticks: u32,
    /// A piece of a chunk may be in the file: nothing can follow it.
    broken: bool,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(mut output: W, header: &Header) -> Result<Self, RecordError> {
        let document =
            serde_json::to_vec(header).map_err(|error| failed("write the header of", error.into()))?;
        let mut bytes = Vec::from(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(length(&document)?.to_le_bytes());
        bytes.extend(document);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        output
            .write_all(&bytes)
            .map_err(|source| failed("write to", source))?;
        Ok(Self {
            output,
            compressor: compressor().map_err(|source| failed("compress", source))?,
            ticks: 0,
            broken: false,
        })
    }

    /// Writes one tick: it is in the file when this returns.
    pub(super) fn tick(&mut self, tick: &[u8]) -> Result<(), RecordError> {
        let size = length(tick)?;
        self.broken = true;
        self.compressor
            .write_all(tick)
            .and_then(|()| self.compressor.flush())
            .map_err(|source| failed("compress", source))?;
        let payload = std::mem::take(self.compressor.get_mut());
        self.chunk(ChunkKind::Tick, size, &payload)
            .map_err(|source| failed("write to", source))
    }

    /// A chunk that is written in part is the last one.
    fn chunk(&mut self, kind: ChunkKind, size: u32, payload: &[u8]) -> io::Result<()> {
        let head = ChunkHead {
            kind,
            number: self.ticks,
            size,
            length: u32::try_from(payload.len()).map_err(io::Error::other)?,
            crc: crc32c::crc32c(payload),
        };
        let mut chunk = Vec::with_capacity(ChunkHead::LENGTH + payload.len());
        chunk.extend(head.to_bytes());
        chunk.extend(payload);
        self.output.write_all(&chunk)?;
        self.output.flush()?;
        self.broken = false;
        self.ticks += 1;
        Ok(())
    }
}

impl<W: Write> Drop for Writer<W> {
    fn drop(&mut self) {
        if !self.broken {
            // Whoever reads it sees that the mark is missing.
            let _ = self.chunk(ChunkKind::End, 0, &[]);
        }
    }
}

fn compressor() -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut compressor = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    Ok(compressor)
}

fn length(piece: &[u8]) -> Result<u32, RecordError> {
    let bytes = piece.len();
    u32::try_from(bytes)
        .ok()
        .filter(|&length| length <= MAX_TICK)
        .ok_or(RecordError::TooLarge { bytes })
}

fn failed(what: &'static str, source: io::Error) -> RecordError {
    RecordError::Io { what, source }
}
