//! The ring buffers, from the reader's end.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use bytes::{Bytes, BytesMut};

use super::error::KernelError;
use crate::raw::{RawBatch, Source};

/// Reads records of one ring buffer and keeps them until the next tick.
pub(super) struct Feed {
    ring: RingBuf<MapData>,
    source: Source,
    waiting: BytesMut,
}

impl Feed {
    pub(super) fn open(ebpf: &mut Ebpf, map: &'static str, source: Source) -> Result<Self, KernelError> {
        let data = ebpf.take_map(map).ok_or(KernelError::NoMap(map))?;
        let ring = RingBuf::try_from(data).map_err(|source| KernelError::Map { map, source })?;
        Ok(Self {
            ring,
            source,
            waiting: BytesMut::new(),
        })
    }

    /// Copies out what is there; records are laid end to end.
    pub(super) fn drain(&mut self) {
        while let Some(record) = self.ring.next() {
            self.waiting.extend_from_slice(&record);
        }
    }

    /// Everything drained since the last call.
    pub(super) fn take(&mut self) -> Option<RawBatch> {
        let bytes: Bytes = self.waiting.split().freeze();
        (!bytes.is_empty()).then_some(RawBatch {
            source: self.source,
            bytes,
        })
    }

    /// What to wait on.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
