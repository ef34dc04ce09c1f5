//! Processes whose frames of an interpreter are taken with their stacks.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use leakwatch_common::interpreter::{ImageKey, Interpreter};
use log::debug;

use super::error::KernelError;

/// The map `INTERPRETERS`.
pub(super) struct Interpreters {
    map: HashMap<MapData, ImageKey, Interpreter>,
    entries: u64,
    refused: u64,
}

impl Interpreters {
    pub(super) const MAP: &str = "INTERPRETERS";

    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let data = ebpf.take_map(Self::MAP).ok_or(KernelError::NoMap(Self::MAP))?;
        Ok(Self {
            map: HashMap::try_from(data).map_err(|source| KernelError::Map {
                map: Self::MAP,
                source,
            })?,
            entries: 0,
            refused: 0,
        })
    }

    /// One more; each image once.
    pub(super) fn add(&mut self, image: ImageKey, interpreter: &Interpreter) {
        match self.map.insert(image, interpreter, 0) {
            Ok(()) => self.entries += 1,
            Err(error) => {
                debug!("no frames of process {}: {error}", image.tgid);
                self.refused += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, image: ImageKey) {
        if self.map.remove(&image).is_ok() {
            self.entries -= 1;
        }
    }

    /// Entries in use, and how often there was no room for one more.
    pub(super) fn used(&self) -> (u64, u64) {
        (self.entries, self.refused)
    }
}
