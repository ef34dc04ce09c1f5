//! The ring buffer, from the reader's end.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use bytes::{Bytes, BytesMut};

use super::error::KernelError;
use crate::raw::{RawBatch, Source};

/// Reads records and keeps them until the next tick.
pub(super) struct Feed {
    ring: RingBuf<MapData>,
    waiting: BytesMut,
}

impl Feed {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map("FEED").ok_or(KernelError::NoMap("FEED"))?;
        let ring = RingBuf::try_from(map).map_err(|source| KernelError::Map { map: "FEED", source })?;
        Ok(Self {
            ring,
            waiting: BytesMut::new(),
        })
    }

    /// Copies out what is there; records are laid end to end.
    pub(super) fn drain(&mut self) -> usize {
        let before = self.waiting.len();
        while let Some(record) = self.ring.next() {
            self.waiting.extend_from_slice(&record);
        }
        self.waiting.len() - before
    }

    /// Everything drained since the last call.
    pub(super) fn take(&mut self) -> Option<RawBatch> {
        let bytes: Bytes = self.waiting.split().freeze();
        (!bytes.is_empty()).then_some(RawBatch {
            source: Source::Records,
            bytes,
        })
    }

    /// What to wait on.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
